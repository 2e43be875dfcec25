"""Random histories of consents, licences, restrictions and requests: the gate never says yes where the rules say no.

The model beside the real thing is a handful of plain facts; its rule is written here a second time, on purpose.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
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

from cloning import gate, jobs, services
from cloning.errors import GateRefused
from cloning.models import Job, SpeechRequest
from cloning.states import JobState
from cloning.worker import claim
from consent.models import Consent, Licence
from foundation import clock, keys
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.vault.clearance import verify
from safety.models import Restriction
from safety.services import lift, restrict
from tests.cloning import factories as make

CAP = 150
"""Two requests fit under the licence, a third does not."""
DAYS = 10
"""How long each consent is given for."""


class Broken(VouchError):
    """It broke."""

    code = "broke"


def history(person: Any) -> type[RuleBasedStateMachine]:
    class History(RuleBasedStateMachine):
        @initialize(own_use=st.booleans(), to_others=st.booleans())
        def begin(self, own_use: bool, to_others: bool) -> None:
            self.owner, self.other, self.moderator = person(), person(), person(role="moderator")
            self.own_use, self.to_others = own_use, to_others
            uses = {"own_use": own_use, "licence_to_others": to_others}
            self.consent = make.consent(self.owner, uses=uses, days=DAYS)
            self.voice = make.voice(self.owner, self.consent)
            self.stands, self.restricted, self.licensed = True, False, False
            self.open: list[tuple[Any, SpeechRequest]] = []

        # -- the world changes ------------------------------------------------------------------------------------

        def teardown(self) -> None:
            (Path(django_settings.VOUCH_VAR) / "rehearsal-clock").unlink(missing_ok=True)

        @precondition(lambda self: self.stands and self.to_others and not self.licensed)
        @rule()
        def grant(self) -> None:
            make.licence(self.consent, self.other, cap=CAP)
            self.licensed = True

        @precondition(lambda self: self.licensed)
        @rule()
        def end_licence(self) -> None:
            Licence.objects.filter(licensee=self.other).update(state="ended", ended_at=now(), ended_reason="test")
            self.licensed = False

        @precondition(lambda self: self.stands)
        @rule(by_date=st.booleans())
        def end_consent(self, by_date: bool) -> None:
            mine = Consent.objects.filter(id=self.consent.id)
            if by_date:
                clock.move_forward(timedelta(days=DAYS))
            else:
                with transaction.atomic():
                    mine.update(state="withdrawn", ended_at=now(), ended_leaf=0)
                    services.cancel_jobs_for_consent(consent_id=self.consent.id, actor=make.SYSTEM)
                    services.destroy_voices_for_consent(consent_id=self.consent.id, actor=make.SYSTEM)
                self.open.clear()
            self.stands = False

        @precondition(lambda self: not self.restricted)
        @rule(kind=st.sampled_from(["voice", "person"]))
        def restrict(self, kind: str) -> None:
            ref = self.voice.id if kind == "voice" else self.owner.id
            restrict(
                actor=Actor.of(self.moderator), subject_kind=kind, subject_ref=str(ref),
                effect="pause" if kind == "voice" else "block", reason="reported", clause="policy.abuse",
            )  # fmt: skip
            self.restricted = True

        @precondition(lambda self: self.restricted)
        @rule()
        def lift(self) -> None:
            refs = [str(self.voice.id), str(self.owner.id)]
            for found in Restriction.objects.filter(subject_ref__in=refs, state="active"):
                lift(actor=Actor.of(self.moderator), restriction_id=found.id, reason="looked again", interested=())
            self.restricted = False

        # -- people ask -------------------------------------------------------------------------------------------

        def allowed(self, who: Any) -> bool:
            entitled = self.own_use if who == self.owner else self.licensed and self.to_others
            return self.stands and not self.restricted and entitled

        @rule(as_owner=st.booleans())
        def request(self, as_owner: bool) -> None:
            who = self.owner if as_owner else self.other
            room = as_owner or not self.allowed(who) or self.left() >= len(make.TEXT)
            try:
                asked = services.request_speech(
                    actor=Actor.of(who), voice_id=self.voice.id, text=make.TEXT, language="en"
                )
            except GateRefused:
                assert not (self.allowed(who) and room)
            else:
                assert self.allowed(who)
                assert room
                self.open.append((who, asked))

        @precondition(lambda self: self.open)
        @rule(which=st.integers(0, 9))
        def work(self, which: int) -> None:
            who, asked = self.open[which % len(self.open)]
            asked.refresh_from_db()
            try:
                token = gate.clear_speech(actor=make.SYSTEM, request=asked)
            except GateRefused:
                # A licence granted anew is another licence: what was reserved under the old one does not carry over.
                assert not self.allowed(who) or who == self.other
            else:
                cleared = verify(token, public_key=keys.public_key("gate"), now=now())
                assert self.allowed(who)
                assert (cleared.voice_id, cleared.requester_id) == (self.voice.id, who.id)
                assert (cleared.licence_id is None) == (who == self.owner)

        @precondition(lambda self: self.open)
        @rule(which=st.integers(0, 9))
        def fail(self, which: int) -> None:
            _, asked = self.open.pop(which % len(self.open))
            run = claim(asked.job_id)
            assert run is not None
            assert jobs.end_run(job_id=asked.job_id, run=run.token, to=JobState.FAILED, error=Broken())

        # -- what is always so ------------------------------------------------------------------------------------

        def left(self) -> int:
            held = Licence.objects.get(licensee=self.other, state="active")
            return held.characters_cap - held.characters_used - held.characters_reserved

        @invariant()
        def what_is_reserved_is_what_open_requests_hold(self) -> None:
            if not hasattr(self, "other"):
                return
            for held in Licence.objects.filter(licensee=self.other):
                open_ones = SpeechRequest.objects.filter(licence=held, job__state__in=["queued", "running"])
                assert held.characters_reserved == sum(r.reserved for r in open_ones)
            ended = Job.objects.filter(voice=self.voice, kind="speak", state__in=["failed", "cancelled", "refused"])
            assert not SpeechRequest.objects.filter(job__in=ended, reserved__gt=0).exists()

    return History


@pytest.mark.django_db
def test_no_history_leads_to_a_clearance_the_rules_forbid(person) -> None:
    run_state_machine_as_test(
        lambda: history(person)(),
        settings=settings(
            max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
