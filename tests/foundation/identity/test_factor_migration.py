"""Factors that were set up before django-allauth came go on giving codes that open."""

import uuid

import pytest
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from tests.vouch.factors import code_of

SECRET = b"12345678901234567890"
IN_BASE32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def sealed_as_before(person_id: uuid.UUID, signing: str) -> bytes:
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=person_id.bytes, info=b"vouch second factor v1")
    return b"n" * 12 + AESGCM(derive.derive(signing.encode())).encrypt(b"n" * 12, SECRET, person_id.bytes)


@pytest.mark.django_db
def test_a_confirmed_secret_moves_and_what_does_not_open_is_dropped(person, settings):
    confirmed, waiting, lost = person(), person(), person()
    MigrationExecutor(connection).migrate([("identity", "0003_log_salt")])  # undone with the test's transaction
    executor = MigrationExecutor(connection)
    former = executor.loader.project_state([("identity", "0003_log_salt")]).apps.get_model("identity", "SecondFactor")
    for one, signing, at in [
        (confirmed, settings.SECRET_KEY, timezone.now()),
        (waiting, settings.SECRET_KEY, None),
        (lost, "another signing secret", timezone.now()),
    ]:
        former.objects.create(person_id=one.id, sealed_secret=sealed_as_before(one.id, signing), confirmed_at=at)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the rows above were committed long ago
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    executor.migrate([("identity", "0004_factors_to_allauth")])
    moved = Authenticator.objects.get()
    assert (moved.user_id, moved.type) == (confirmed.id, "totp")
    assert IN_BASE32 not in str(moved.data)
    assert moved.wrap().validate_code(code_of(IN_BASE32))
