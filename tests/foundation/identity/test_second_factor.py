"""TOTP against the RFC's own vectors, and a factor that is asked for, used once, and locked."""

import time
import uuid
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command

from foundation import clock
from foundation.audit.models import Leaf
from foundation.errors import NotAllowed
from foundation.identity import second_factor, totp
from foundation.identity.actors import Actor
from foundation.identity.models import SecondFactor

PASSWORD = "a long enough password"
RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
     (20000000000, "353130")],
)  # fmt: skip
def test_the_codes_are_those_of_rfc_6238(seconds, code):
    assert totp.code_at(RFC_SECRET, totp.step_at(seconds)) == code


def test_a_code_is_good_a_step_early_and_late_and_once():
    step = totp.step_at(1_000_000)
    for near in (-1, 0, 1):
        code = totp.code_at(RFC_SECRET, step + near)
        assert totp.matching_step(RFC_SECRET, code, seconds=1_000_000, after=0) == step + near
        assert totp.matching_step(RFC_SECRET, code, seconds=1_000_000, after=step + near) is None
    for far in (-2, 2):
        assert totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, step + far), seconds=1_000_000, after=0) is None
    for odd in ("", "1", "abcdef", "１２３４５６", "0" * 40):
        assert totp.matching_step(RFC_SECRET, odd, seconds=1_000_000, after=0) is None


def test_the_address_is_what_apps_read():
    parts = urlsplit(totp.address(RFC_SECRET, account="ada@example.org"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query)["secret"] == ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"]


@pytest.fixture
def somebody(person):
    one = person(role="senior")
    one.set_password(PASSWORD)
    one.save()
    return one


def code(secret, ahead=0):
    return totp.code_at(secret, totp.step_at(time.time()) + ahead)


def set_up(one):
    """The secret of a confirmed factor; its next code is one step ahead."""
    secret = second_factor.begin(actor=Actor.of(one), password=PASSWORD)
    second_factor.confirm(actor=Actor.of(one), code=code(secret))
    return secret


@pytest.mark.django_db
def test_a_factor_is_set_up_with_the_password_and_a_first_code(somebody):
    actor = Actor.of(somebody)
    with pytest.raises(second_factor.WrongPassword):
        second_factor.begin(actor=actor, password="x")
    secret = second_factor.begin(actor=actor, password=PASSWORD)
    assert not second_factor.is_set_up(somebody.id)
    with pytest.raises(second_factor.NoSecondFactor):
        second_factor.check(actor=actor, code=code(secret))
    with pytest.raises(second_factor.WrongCode):
        second_factor.confirm(actor=actor, code="000000" if code(secret) != "000000" else "000001")
    second_factor.confirm(actor=actor, code=code(secret))
    assert second_factor.is_set_up(somebody.id)
    with pytest.raises(second_factor.FactorExists):
        second_factor.begin(actor=actor, password=PASSWORD)
    stored = bytes(SecondFactor.objects.get().sealed_secret)
    assert secret not in stored
    assert "person.second_factor" in set(Leaf.objects.values_list("kind", flat=True))


@pytest.mark.django_db
def test_a_code_opens_once(somebody):
    secret = set_up(somebody)
    with pytest.raises(second_factor.WrongCode):
        second_factor.check(actor=Actor.of(somebody), code=code(secret))  # the one that confirmed it
    second_factor.check(actor=Actor.of(somebody), code=code(secret, ahead=1))
    with pytest.raises(second_factor.WrongCode):
        second_factor.check(actor=Actor.of(somebody), code=code(secret, ahead=1))


@pytest.mark.django_db
def test_guessing_locks_the_factor_for_a_while(somebody):
    secret, actor = set_up(somebody), Actor.of(somebody)
    right = code(secret, ahead=1)
    wrong = "111111" if right != "111111" else "222222"
    for _ in range(second_factor.MAX_FAILURES):
        with pytest.raises(second_factor.WrongCode):
            second_factor.check(actor=actor, code=wrong)
    with pytest.raises(second_factor.FactorLocked):
        second_factor.check(actor=actor, code=right)
    clock.move_forward(second_factor.LOCKED_FOR + timedelta(seconds=1))
    second_factor.check(actor=actor, code=right)


@pytest.mark.django_db
def test_another_persons_secret_opens_nothing(somebody, person):
    set_up(somebody)
    other = person()
    with pytest.raises(second_factor.NoSecondFactor):
        second_factor.check(actor=Actor.of(other), code="123456")
    # A row copied to somebody else does not open: the seal is bound to the person.
    row = SecondFactor.objects.get()
    SecondFactor.objects.create(person=other, sealed_secret=row.sealed_secret, confirmed_at=row.confirmed_at)
    with pytest.raises(second_factor.NoSecondFactor):
        second_factor.check(actor=Actor.of(other), code="123456")


@pytest.mark.django_db
def test_a_lost_factor_is_removed_on_the_command_line_alone(somebody):
    set_up(somebody)
    with pytest.raises(NotAllowed):
        second_factor.remove(actor=Actor.of(somebody), person=somebody)
    call_command("remove_second_factor", somebody.email, verbosity=0)
    assert not SecondFactor.objects.exists()
    with pytest.raises(CommandError):
        call_command("remove_second_factor", f"{uuid.uuid4()}@example.org")
