"""A month of an owner: own uses, a licence that was bought, one that was given, and their statement."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloning.models import Voice
from consent import licences
from consent.models import Licence
from foundation import keys
from foundation.audit import export
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from marketplace import services
from marketplace.models import Order
from marketplace.statements import making, verify
from marketplace.statements.models import Statement
from tests.marketplace.factories import heard, ready_voice, spoken

PERIOD_FORM = "%Y-%m"
TERMS = {"title": "A calm voice", "price_minor": 333, "currency": "EUR", "languages": ["en"], "licence_days": 40}


@dataclass
class Month:
    owner: Person
    customer: Person
    operator: Actor
    voice: Voice
    order: Order
    licence: Licence
    given: Licence

    @property
    def period(self) -> str:
        return now().strftime(PERIOD_FORM)

    def use(self, *characters: int, licence: Licence | None = None) -> None:
        for count in characters:
            spoken(self.voice, self.customer if licence else self.owner, characters=count, licence=licence)

    def statement(self, **how: Any) -> Statement:
        return making.make(actor=Actor.of(self.owner), period=how.pop("period", self.period), **how)

    def file(self, **how: Any) -> bytes:
        return whole(self.statement(**how))


def whole(statement: Statement) -> bytes:
    return b"".join(making.file(statement))


def check(data: bytes, **more: Any) -> verify.Verified:
    return verify.check(io.BytesIO(data), keys.public_key("log"), **more)


@pytest.fixture
def month(person: Callable[..., Any], settings: Any) -> Month:
    settings.VOUCH_FEE_BP = 1_500
    owner, customer, operator = person(), person(), Actor.of(person(role="operator"))
    voice = ready_voice(owner)
    listing = heard(services.create_listing(actor=Actor.of(owner), voice_id=voice.id, **TERMS))
    order = services.place_order(actor=Actor.of(customer), listing_id=listing.id, characters=10_000)
    order = services.record_payment(actor=operator, order_id=order.id, reference="77")
    given = licences.grant_licence(
        actor=Actor.of(owner), consent=voice.consent, licensee=customer, scope={}, characters_cap=1_000
    )
    licence = order.licence
    assert licence is not None
    made = Month(owner, customer, operator, voice, order, licence, given)
    made.use(20)
    made.use(1_000, 7, 333, licence=licence)
    made.use(50, licence=given)
    made.use(11, 1, licence=licence)
    return made


@pytest.fixture
def exported(tmp_path: Path) -> Callable[[], Path]:
    """The log as ``manage.py export_log`` writes it."""
    from django.core.management import call_command

    def write() -> Path:
        folder = tmp_path / f"log-{len(list(tmp_path.iterdir()))}"
        call_command("export_log", str(folder), verbosity=0)
        assert (folder / export.ENTRIES).is_file()
        return folder

    return write
