"""Everything held about a person: handed to them, and erased for them. Put together here, above all rooms.

The rooms' tables are walked by their foreign keys to `Person`: a table that a later room adds is exported without
being named here, unless its key says that the person only acted (`ACTED`), as a moderator or operator does.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import models, transaction

from cloning.batches.models import Batch
from cloning.batches.states import BatchState
from cloning.models import Job, Output
from cloning.states import OPEN_JOB_STATES
from consent.models import Consent, Licence
from consent.states import ConsentState
from foundation.audit import log, people
from foundation.clock import now
from foundation.errors import Conflict, NotSignedIn
from foundation.identity import sessions
from foundation.identity.actors import Actor
from foundation.identity.models import ApiKey, Person
from foundation.vault import services as vault
from marketplace.hooks import services as hooks
from marketplace.hooks.models import Endpoint
from marketplace.payouts.models import PayoutAccount
from retention import custody
from retention.models import CustodyItem, CustodyState
from safety import protected
from safety.models import AppealMessage, Case, Notice, ProtectedVoice, Report
from safety.policy import decisions
from safety.states import CaseState, ProtectionState
from vouch import consents
from vouch.api.models import IdempotentAnswer

ACTED: Final = frozenset(
    {
        "safety.case.claimed_by", "safety.case.decided_by", "safety.restriction.made_by",
        "safety.restriction.lifted_by", "safety.protectedvoice.added_by", "consent.reviewvote.moderator",
        "safety.ruling.made_by", "safety.ruling.second_by", "safety.note.author", "safety.appeal.first_by",
        "safety.appeal.second_by", "safety.appeal.decided_by", "safety.golden.made_by", "safety.check.first_by",
        "safety.check.reviewer", "safety.notice.triaged_by", "safety.notice.counter_by",
        "marketplace.listing.reviewed_by", "marketplace.protectedname.added_by",
        "retention.legalhold.requested_by", "retention.legalhold.approved_by",
        "retention.legalhold.ending_by", "retention.legalhold.ended_by", "marketplace.order.seller",
    }
)  # fmt: skip
"""Keys of people who did something to what is somebody else's: of those rows only the number is told."""
SECRET: Final = frozenset(
    {
        "password",
        "sealed_secret",
        "digest",
        "address_hash",
        "fingerprint",
        "matches",
        "mfa.authenticator.data",
        "session_key",
    }
)  # fmt: skip
"""Fields nobody is handed: what lets somebody in, and whom else a voice resembles."""
THROUGH: Final[tuple[tuple[type[models.Model], str], ...]] = ((Licence, "consent__person"),)
"""Rows that name a person by way of another row: licences that others hold under the person's consents."""
KEPT: Final = ("consents", "consent_reviews", "licences_and_orders", "outputs_without_sound", "log")
"""What an erasure leaves, as proof (GDPR Art. 17(3)(b) and (e)): see the retention schedule."""
ERASED_DOMAIN: Final = "erased.invalid"
NO_ADDRESS: Final = f"https://{ERASED_DOMAIN}/"
"""Where an erased person's webhooks had led."""


class WorkInProgress(Conflict):
    """Work of this person's is still running or waiting."""

    code = "work_in_progress"
    advice = "Wait until it is done, or cancel it, and ask again."


class StaffAccount(Conflict):
    """An account that acts for the platform is closed by its operator."""

    code = "staff_account"


def export(*, actor: Actor) -> dict[str, Any]:
    """Everything held about the actor, by table: JSON-safe, the salts of their commitments included. Read only."""
    person = _person(actor)
    tables: dict[str, list[dict[str, Any]]] = {"identity.person": [_row(person, person)]}
    acts: dict[str, int] = {}
    for model, key in (*_keys(), *THROUGH):
        name = model._meta.label_lower
        rows = model._default_manager.filter(**{key: person})
        if f"{name}.{key}" in ACTED:
            if count := rows.count():
                acts[f"{name}.{key}"] = count
            continue
        known = {row["id"] for row in tables.get(name, [])}
        found = [_row(one, person) for one in rows.order_by("pk").iterator()]
        tables.setdefault(name, []).extend(row for row in found if row["id"] not in known)
    return {
        "person": str(person.id),
        "at": now().isoformat(),
        "tables": {name: rows for name, rows in sorted(tables.items()) if rows},
        "acts_on_what_is_others": acts,
        "log": "Entries name the ids above, and you by a tag that only your log_salt ties to you.",
    }


@transaction.atomic
def erase(*, actor: Actor) -> dict[str, Any]:
    """Ends everything of the actor's and forgets who they were. It cannot be taken back.

    Consents are withdrawn (and with them voices, templates, licences, offers), recordings and outputs lose their keys,
    words they wrote are emptied, the salts of commitments to them are erased, the account is overwritten. The log
    keeps its entries and stays valid: what they committed to can be shown by nobody any more. A legal hold outlasts
    this and ends its recording when it ends. Raises WorkInProgress, StaffAccount.
    """
    person = Person.objects.select_for_update(of=("self",)).get(id=_person(actor).id)
    if person.role != "member":
        raise StaffAccount
    if Job.objects.filter(requester=person, state__in=OPEN_JOB_STATES).exists():
        raise WorkInProgress
    if Batch.objects.filter(requester=person, state=BatchState.RUNNING).exists():
        raise WorkInProgress
    for consent in Consent.objects.filter(person=person, state=ConsentState.ACTIVE).order_by("id"):
        consents.withdraw(actor=actor, consent_id=consent.id)
    standing = CustodyItem.objects.filter(subject=person, parent=None).exclude(state=CustodyState.DESTROYED)
    custody.destroy_all(items=list(standing), reason="erased", actor=actor)
    texts = decisions.forget_person(person_id=person.id)
    for endpoint in Endpoint.objects.filter(owner=person, ended_at=None).order_by("id"):
        hooks.end_endpoint(actor=Actor.of(person), endpoint_id=endpoint.id)
    for voice in ProtectedVoice.objects.filter(person=person, state=ProtectionState.ACTIVE).order_by("id"):
        protected.remove(voice=voice, reason="erased", actor=actor)
    outputs = list(Output.objects.filter(requester=person).select_related("sealed__key").order_by("id"))
    for output in outputs:
        vault.destroy_key(key=output.sealed.key, reason="erased", actor=actor)
    done = {
        "recordings": CustodyItem.objects.filter(subject=person).exclude(salt=b"").update(salt=b""),
        "outputs": len(outputs),
        "policy_texts": texts,
        "cases": Case.objects.filter(requester=person, state=CaseState.DECIDED).update(text="", text_salt=""),
        "reports": Report.objects.filter(reporter=person).update(text="", text_salt=""),
        "appeals": AppealMessage.objects.filter(author=person).update(text=""),
        "counter_notices": Notice.objects.filter(counter_by=person).update(counter_text="", counter_signature=""),
        "addresses": Endpoint.objects.filter(owner=person).update(
            url=NO_ADDRESS, salt="", former_salt="", former_until=None
        ),
        "bank_accounts": PayoutAccount.objects.filter(person=person).delete()[0],
        "answers": IdempotentAnswer.objects.filter(person=person).delete()[0],
        "sessions": sessions.forget(person_id=person.id),
        "keys": ApiKey.objects.filter(person=person).delete()[0],
    }
    person.email, person.display_name = f"{person.id}@{ERASED_DOMAIN}", ""
    person.organisation, person.is_active = None, False
    person.set_unusable_password()
    person.save()
    Authenticator.objects.filter(user=person).delete()
    log.append(kind="person.erased", subject=f"person:{person.id}", actor=actor, data={"erased": done})
    people.erase_salt(person=person)
    return {"person": str(person.id), "erased": done, "kept": list(KEPT)}


def _person(actor: Actor) -> Person:
    if actor.person_id is None:
        raise NotSignedIn
    return Person.objects.get(id=actor.person_id)


def _keys() -> list[tuple[type[models.Model], str]]:
    """Every foreign key to a person, of every table of every room."""
    return [
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey) and field.related_model is Person
    ]


def _row(one: models.Model, person: Person) -> dict[str, Any]:
    """The row without secrets and without other people."""
    row: dict[str, Any] = {"id": str(one.pk)}
    for field in one._meta.concrete_fields:
        value = field.value_from_object(one)
        others = field.is_relation and field.related_model is Person and value != person.id
        if {field.name, f"{one._meta.label_lower}.{field.name}"} & SECRET or field.primary_key or others:
            continue
        row[field.attname] = _plain(value)
    return row


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes() | memoryview():
            return bytes(value).hex()
        case _:
            return value
