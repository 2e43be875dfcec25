"""Second factors outside a page: an app set up by a program, the seal of its secret, and a lost factor removed."""

import uuid

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.management import CommandError, call_command

from foundation.audit.models import Leaf
from foundation.errors import NotAllowed
from foundation.identity import sealing, second_factor
from foundation.identity.actors import Actor
from tests.vouch.factors import PASSWORD, app_of, code_of, with_password

pytestmark = pytest.mark.django_db


@pytest.fixture
def somebody(person, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nothing here is about slow hashes
    return with_password(person(role="senior"))


def test_an_app_is_set_up_with_the_password_and_a_first_code(somebody):
    actor = Actor.of(somebody)
    with pytest.raises(second_factor.WrongPassword):
        second_factor.begin(actor=actor, password="x")
    with pytest.raises(second_factor.NoSecondFactor):
        second_factor.confirm(actor=actor, code="000000")  # nothing was begun
    secret = second_factor.begin(actor=actor, password=PASSWORD)
    assert secret not in str(cache.get(second_factor._pending(somebody.id)))
    with pytest.raises(second_factor.WrongCode):
        second_factor.confirm(actor=actor, code="000000" if code_of(secret) != "000000" else "000001")
    assert not second_factor.is_set_up(somebody.id)
    second_factor.confirm(actor=actor, code=code_of(secret))
    assert second_factor.is_set_up(somebody.id)
    with pytest.raises(second_factor.FactorExists):
        second_factor.begin(actor=actor, password=PASSWORD)
    assert secret not in str(Authenticator.objects.get().data)
    assert Leaf.objects.filter(kind="person.second_factor").count() == 1


def test_the_code_that_confirmed_the_app_opens_nothing_more(somebody):
    code = app_of(somebody)
    app = Authenticator.objects.get().wrap()
    assert app.validate_code(code())
    assert not app.validate_code(code())


@pytest.mark.parametrize("text", ["", "JBSWY3DPEHPK3PXP", "s1:", "s1:%%", "s1:" + "A" * 60])
def test_what_is_not_sealed_here_does_not_open(text):
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(text)


def test_a_seal_opens_under_its_secret_alone(settings):
    sealed = sealing.seal("word")
    assert sealing.unseal(sealed) == "word"
    assert sealing.seal("word") != sealed
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert sealing.unseal(sealed) == "word"  # while the secret is being changed
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(sealed)


def test_a_lost_factor_is_removed_on_the_command_line_alone(somebody):
    app_of(somebody)
    with pytest.raises(NotAllowed):
        second_factor.remove(actor=Actor.of(somebody), person=somebody)
    assert second_factor.is_set_up(somebody.id)
    call_command("remove_second_factor", somebody.email, verbosity=0)
    assert not Authenticator.objects.exists()
    with pytest.raises(CommandError):
        call_command("remove_second_factor", f"{uuid.uuid4()}@example.org")
