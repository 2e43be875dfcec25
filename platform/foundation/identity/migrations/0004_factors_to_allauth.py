"""Second factors move to django-allauth's table: each confirmed secret is opened, sealed anew and kept in use.

A secret that does not open any more (the signing secret was changed) could not be used before either: it is dropped,
and its person sets up another.
"""

import base64
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import migrations

from foundation.identity import sealing

NONCE = 12


def move(apps: Any, schema_editor: Any) -> None:
    authenticators = apps.get_model("mfa", "Authenticator")
    for former in apps.get_model("identity", "SecondFactor").objects.exclude(confirmed_at=None):
        if authenticators.objects.filter(user_id=former.person_id, type="totp").exists():
            continue
        derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=former.person_id.bytes, info=b"vouch second factor v1")
        cipher, sealed = AESGCM(derive.derive(settings.SECRET_KEY.encode())), bytes(former.sealed_secret)
        try:
            secret = cipher.decrypt(sealed[:NONCE], sealed[NONCE:], former.person_id.bytes)
        except InvalidTag:
            continue
        data = {"secret": sealing.seal(base64.b32encode(secret).decode())}
        authenticators.objects.create(user_id=former.person_id, type="totp", data=data, created_at=former.confirmed_at)


class Migration(migrations.Migration):
    dependencies = [("identity", "0003_log_salt"), ("mfa", "0003_authenticator_type_uniq")]

    operations = [
        migrations.RunPython(move, migrations.RunPython.noop),
        migrations.DeleteModel("SecondFactor"),
    ]
