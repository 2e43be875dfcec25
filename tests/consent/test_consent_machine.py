"""Random lives of a consent: given, renewed, withdrawn, expired, licensed, its person restricted.

Whatever happens, in whatever order: nothing is in force that should not be, an end is final, and each change has its
entry in the log.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cloning import gate
from cloning.models import Voice
from cloning.renewals import carry_voices
from cloning.services import cancel_jobs_for_consent, destroy_voices_for_consent, request_voice
from consent import licences, renewal, selectors, services
from consent.errors import ConsentEnded, ConsentNotActive, ConsentScopeExceeded, PersonRestricted
from consent.models import Consent, Licence
from foundation import clock
from foundation.audit.models import Leaf
from foundation.clock import now
from foundation.errors import Conflict, Refused
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed, PastDeadline
from safety.models import Restriction
from safety.services import lift, restrict
from tests.consent import factories as make

SYSTEM = Actor.system("test")
TERM = 4
"""Days: short enough that a life sees several ends within the month the rehearsal clock may move."""
MONTH = timedelta(days=29)


def life(person: Any) -> type[RuleBasedStateMachine]:
    class Life(RuleBasedStateMachine):
        @initialize(to_others=st.booleans())
        def begin(self, to_others: bool) -> None:
            self.owner, self.customer, self.moderator = person(), person(), person("moderator")
            self.to_others = to_others
            uses = {"own_use": True, "licence_to_others": to_others}
            self.consent = make.consent(self.owner, uses=uses, term_days=TERM)
            self.voice = request_voice(
                actor=Actor.of(self.owner), consent_id=self.consent.id, name="Mine", language="en"
            )
            self.stands, self.restricted = True, False
            self.until = self.consent.valid_until
            self.gone: list[tuple[Any, str]] = []
            self.moved = timedelta(0)

        def teardown(self) -> None:
            (Path(django_settings.VOUCH_VAR) / "rehearsal-clock").unlink(missing_ok=True)

        # -- what people and time do ----------------------------------------------------------------------------------

        @rule()
        def withdraw(self) -> None:
            actor = Actor.of(self.owner)
            if not self.ended():
                self.end("withdrawn")
            elif self.consent_row().state == "active":
                # Its time is over but no sweep has come by: withdrawing is allowed and ends it as withdrawn.
                self.end("withdrawn")
            else:
                with pytest.raises(ConsentEnded), transaction.atomic():
                    services.withdraw_consent(actor=actor, consent_id=self.consent.id)

        def end(self, state: str) -> None:
            with transaction.atomic():
                services.withdraw_consent(actor=Actor.of(self.owner), consent_id=self.consent.id)
                cancel_jobs_for_consent(consent_id=self.consent.id, actor=SYSTEM)
                destroy_voices_for_consent(consent_id=self.consent.id, actor=SYSTEM)
            self.stands = False
            self.gone.append((self.consent.id, state))

        @precondition(lambda self: self.moved + timedelta(days=1) <= MONTH)
        @rule(days=st.integers(1, TERM))
        def wait(self, days: int) -> None:
            step = min(timedelta(days=days), MONTH - self.moved)
            clock.move_forward(step)
            self.moved += step

        @rule()
        def sweep(self) -> None:
            services.expire_consents()
            if self.stands and now() >= self.until:
                self.stands = False
                self.gone.append((self.consent.id, "expired"))

        @rule(wider=st.booleans(), same_voice=st.booleans())
        def renew(self, wider: bool, same_voice: bool) -> None:
            challenge = make.passed_challenge(self.owner)
            given = make.terms(challenge, consent_id=self.consent.id, term_days=TERM)
            del given["recording_ids"]
            given["uses"] = {"own_use": True, "licence_to_others": wider}
            allowed = not self.ended() and not self.restricted
            try:
                with transaction.atomic():
                    new, _ = renewal.renew_consent(**given)
                    carry_voices(consent_id=new.id)
            except (ConsentEnded, PersonRestricted):
                assert not allowed
            else:
                assert allowed
                self.gone.append((self.consent.id, "renewed"))
                self.consent, self.until, self.to_others = new, new.valid_until, wider

        @rule()
        def grant(self) -> None:
            try:
                with transaction.atomic():
                    licences.grant_licence(
                        actor=SYSTEM, consent=self.consent, licensee=self.customer, scope={}, characters_cap=10
                    )
            except ConsentNotActive:
                assert self.ended()
            except ConsentScopeExceeded:
                assert not self.to_others
            else:
                assert not self.ended()
                assert self.to_others

        @rule()
        def restrict_or_lift(self) -> None:
            moderator = Actor.of(self.moderator)
            if self.restricted:
                for one in Restriction.objects.filter(subject_ref=str(self.owner.id), state="active"):
                    lift(actor=moderator, restriction_id=one.id, reason="looked again", interested=())
            else:
                restrict(
                    actor=moderator, subject_kind="person", subject_ref=str(self.owner.id), effect="block",
                    reason="reported", clause="policy.abuse",
                )  # fmt: skip
            self.restricted = not self.restricted

        # -- what is always so ----------------------------------------------------------------------------------------

        def ended(self) -> bool:
            return not self.stands or now() >= self.until

        def consent_row(self) -> Consent:
            return Consent.objects.get(id=self.consent.id)

        @invariant()
        def the_gate_clears_nothing_without_a_consent_in_force(self) -> None:
            if not hasattr(self, "voice"):
                return
            voice = Voice.objects.get(id=self.voice.id)
            with transaction.atomic():
                judged = gate.judge_training(
                    consent_id=voice.consent_id, owner_id=self.owner.id, language="en", voice=voice
                )
            assert (judged.refusal is None) == (not self.ended() and not self.restricted)

        @invariant()
        def an_end_is_final_and_takes_all_with_it(self) -> None:
            for consent_id, state in getattr(self, "gone", []):
                found: Any = Consent.objects.select_related("template").get(id=consent_id)
                assert found.state == state
                assert selectors.active_consent(consent_id=consent_id) is None
                assert not Licence.objects.filter(consent=found, state="active").exists()
                with pytest.raises((KeyDestroyed, PastDeadline)):
                    vault.read(sealed_object=found.template, actor=SYSTEM)
                with pytest.raises(Conflict), transaction.atomic():
                    services.withdraw_consent(actor=Actor.of(self.owner), consent_id=consent_id)

        @invariant()
        def every_change_has_its_entry(self) -> None:
            if not hasattr(self, "consent"):
                return
            for found in Consent.objects.filter(person=self.owner):
                given = Leaf.objects.get(index=found.leaf_index)
                assert (given.kind, str(found.id) in bytes(given.body).decode()) == ("consent.given", True)
                if found.ended_leaf is not None:
                    last = Leaf.objects.get(index=found.ended_leaf)
                    wanted = "consent.given" if found.state == "renewed" else f"consent.{found.state}"
                    assert (last.kind, str(found.id) in bytes(last.body).decode()) == (wanted, True)
            for one in Licence.objects.filter(licensee=self.customer):
                assert Leaf.objects.get(index=one.leaf_index).kind == "licence.granted"

    return Life


@pytest.mark.django_db
def test_no_life_of_a_consent_leaves_anything_in_force_that_has_ended(person: Any) -> None:
    assert connection.in_atomic_block
    run_state_machine_as_test(
        life(person),
        settings=settings(
            max_examples=5, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_the_errors_it_relies_on_are_refusals() -> None:
    assert issubclass(ConsentEnded, Conflict)
    assert issubclass(ConsentNotActive, Refused)
