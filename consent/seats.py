"""Seats of a licence: its holder lets further people use it, as many as the scope names. The holder has the first.

A person joins with a code the holder gives them: nobody's address is asked for, so nobody learns who has an account.
"""

import hashlib
import secrets
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from consent.errors import LicenceEnded, SeatsTaken
from consent.models import Licence, LicenceSeat
from consent.selectors import own_id
from consent.states import LicenceState
from foundation.audit import log
from foundation.clock import now
from foundation.errors import Conflict, NotFound
from foundation.identity.actors import Actor

CODE_BYTES: Final = 16


class SeatedAlready(Conflict):
    """This person uses the licence already."""

    code = "seated_already"


@transaction.atomic
def invite(*, actor: Actor, licence_id: UUID) -> tuple[LicenceSeat, str]:
    """A seat kept free, and the code to join it, shown this once. Only the holder's. Raises NotFound, LicenceEnded,
    SeatsTaken (``cap: 3 of 3 seats used``)."""
    licence = Licence.objects.select_for_update(of=("self",)).filter(id=licence_id, licensee_id=own_id(actor)).first()
    if licence is None:
        raise NotFound
    _in_force(licence)
    cap = int(licence.scope.get("caps", {}).get("seats", 1))
    taken = 1 + licence.seats.filter(returned_at=None).count()
    if taken >= cap:
        raise SeatsTaken(f"cap: {taken} of {cap} seats used", clause="caps.seats")
    code = secrets.token_urlsafe(CODE_BYTES)
    seat = LicenceSeat.objects.create(licence=licence, code_sha256=_digest(code))
    _leaf(seat, "invited", actor)
    return seat, code


@transaction.atomic
def join(*, actor: Actor, code: str) -> LicenceSeat:
    """Takes the seat of a code, once. Raises NotFound, LicenceEnded, SeatedAlready."""
    person_id = own_id(actor)
    seat = (
        LicenceSeat.objects.select_for_update(of=("self",))
        .select_related("licence__consent")
        .filter(code_sha256=_digest(code), returned_at=None)
        .first()
    )
    if seat is None or not code:
        raise NotFound
    _in_force(seat.licence)
    if person_id in (seat.licence.licensee_id, seat.licence.consent.person_id):
        raise SeatedAlready
    seat.person_id, seat.joined_at, seat.code_sha256 = person_id, now(), ""
    try:
        with transaction.atomic():
            seat.save(update_fields=["person", "joined_at", "code_sha256"])
    except IntegrityError as error:
        raise SeatedAlready from error
    _leaf(seat, "joined", actor)
    return seat


@transaction.atomic
def take_back(*, actor: Actor, seat_id: UUID) -> LicenceSeat:
    """Frees a seat: the holder, or whoever sits there. Raises NotFound. Safe to repeat."""
    person_id = own_id(actor)
    rows = LicenceSeat.objects.select_for_update(of=("self",)).select_related("licence")
    seat = rows.filter(id=seat_id).first()
    if seat is None or person_id not in (seat.licence.licensee_id, seat.person_id):
        raise NotFound
    if seat.returned_at is None:
        seat.returned_at, seat.code_sha256 = now(), ""
        seat.save(update_fields=["returned_at", "code_sha256"])
        _leaf(seat, "returned", actor)
    return seat


def _in_force(licence: Licence) -> None:
    if licence.state != LicenceState.ACTIVE.value or licence.valid_until <= now():
        raise LicenceEnded


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _leaf(seat: LicenceSeat, what: str, actor: Actor) -> None:
    log.record(
        kind="licence.seat",
        subject=f"licence:{seat.licence_id}",
        actor=actor,
        data={"seat": str(seat.id), "what": what},
        rehearsal=seat.licence.rehearsal,
    )
