"""A deletion certificate holds offline, and not when anything in it was changed."""

import copy
import json
from datetime import timedelta
from typing import Any

import pytest

from foundation import keys
from foundation.clock import move_forward
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from retention import certificates, custody
from retention.errors import NotDestroyed
from retention.purposes import Purpose

pytestmark = pytest.mark.django_db(transaction=True)
SYSTEM = Actor.system("test")


def destroyed(person: Any) -> Any:
    item = custody.receive(stream=[b"sound"], purpose=Purpose.TRAINING, subject=person(), actor=SYSTEM, max_bytes=100)
    with pytest.raises(NotDestroyed):
        custody.certificate(item)
    move_forward(timedelta(hours=72))
    custody.sweep()
    return item


def test_a_certificate_says_what_was_destroyed_and_what_it_does_not_prove(person: Any) -> None:
    item = destroyed(person)
    certificate = json.loads(json.dumps(custody.certificate(item)))
    statement = certificates.verify(certificate, keys.public_key("log"))
    assert statement["item"] == str(item.id)
    assert statement["reason"] == "deadline"
    assert statement["key"]["state"] == "destroyed"
    assert [probe["present"] for probe in statement["storage"]] == [False]
    assert len(statement["does_not_prove"]) >= 3
    item.refresh_from_db()
    assert custody.matches(item, b"sound")


def test_every_changed_field_and_a_foreign_key_are_found(person: Any) -> None:
    certificate = custody.certificate(destroyed(person))
    public = keys.public_key("log")
    for field in certificate["statement"]:
        forged = copy.deepcopy(certificate)
        forged["statement"][field] = "something else"
        with pytest.raises(VouchError):
            certificates.verify(forged, public)
    with pytest.raises(VouchError):
        certificates.verify(certificate, keys.public_key("gate"))
    for broken in ({}, {"statement": {}}, {**certificate, "receipt": None}, {**certificate, "signature": "zz"}):
        with pytest.raises(VouchError):
            certificates.verify(broken, public)
