"""Banks of protected voices between platforms: signed files of projected templates, exported and imported.

    {"format": "vouch-protected-bank/1", "origin": name, "exported_at": time, "model": encoder, "dimensions": n,
     "entries": [{"id", "public_name", "template": base64 of float32 little-endian}]}
    with a line of its own after it: {"key": hex, "signature": hex}

After ThreatExchange and HMA's banks, which know no sound. Templates are turned by a secret that the platforms of one
federation share (`safety.projection`): a file that leaks fits no recording and no other bank. A file says all that is
in force at its origin; what it no longer says ends here. Labels, persons and reasons stay at home.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.db import transaction

from foundation.audit import canonical, log
from foundation.clock import now
from foundation.errors import Conflict, Refused
from foundation.identity.actors import Actor
from safety import protected
from safety.models import BankOrigin, ProtectedVoice
from safety.projection import SECRET_BYTES, rotation
from safety.states import ProtectionSource, ProtectionState

FORMAT: Final = "vouch-protected-bank/1"
MODEL: Final = "resemblyzer-256"
"""The encoder whose embeddings can be compared: a bank of another's is refused."""
MAX_ENTRIES: Final = 50_000
MAX_BYTES: Final = 128 * 1024 * 1024
MAX_NAME: Final = 120
FUTURE: Final = timedelta(minutes=5)
"""How far another platform's clock may run ahead."""
_DOMAIN: Final = b"vouch protected bank v1\n"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class BankInvalid(Refused):
    """The file is no bank of protected voices, or not one that fits here."""

    code = "bank_invalid"


class BankUntrusted(Refused):
    """The bank is not signed by the key that was named or pinned for its origin."""

    code = "bank_untrusted"


class BankStale(Conflict):
    """A newer bank of this origin was imported before; an older one could bring back what was removed."""

    code = "bank_stale"


@dataclass(frozen=True, slots=True)
class Imported:
    origin: str
    added: int
    removed: int
    kept: int


@transaction.atomic
def export(*, origin: str, secret: bytes, private_key: bytes, actor: Actor) -> bytes:
    """This platform's bank. ``origin``: its name, 1 to 120 letters, digits, dots, dashes; ``secret``: the federation's,
    32 bytes. Raises BankInvalid, and Gone where a template cannot be opened: nobody is left out silently."""
    if not _NAME.fullmatch(origin) or len(secret) != SECRET_BYTES:
        raise BankInvalid("An origin is a plain name, and the federation's secret has 32 bytes.")
    entries = [
        {
            "id": str(voice.id),
            "public_name": voice.public_name,
            "template": base64.b64encode((rotation(secret, unit.size) @ unit).astype("<f4").tobytes()).decode(),
        }
        for voice, unit in protected.embeddings()
    ]
    body = canonical.encode(
        {
            "format": FORMAT,
            "origin": origin,
            "exported_at": now().isoformat(),
            "model": MODEL,
            "entries": entries,
        }
    )
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    signature = {"key": key.public_key().public_bytes_raw().hex(), "signature": key.sign(_DOMAIN + body).hex()}
    log.record(kind="protected.exported", subject="protected:bank", actor=actor, data={"entries": len(entries)})
    return body + b"\n" + json.dumps(signature).encode() + b"\n"


@transaction.atomic
def import_bank(*, data: bytes, secret: bytes, trust: str, actor: Actor) -> Imported:
    """Takes another platform's bank in: what is new is protected here, what it no longer says ends. Safe to repeat.

    ``trust``: the origin's public key (hex), which the first import pins; later ones need no other. Raises
    BankInvalid, BankUntrusted, BankStale; nothing is changed then.
    """
    bank = _verified(data, trust)
    exported_at = _moment(bank["exported_at"])
    units = {entry["id"]: _unit(entry["template"], secret) for entry in bank["entries"]}
    names = {entry["id"]: entry["public_name"] for entry in bank["entries"]}
    origin = BankOrigin.objects.select_for_update().filter(name=bank["origin"]).first()
    if origin is None:
        origin = BankOrigin.objects.create(name=bank["origin"], public_key=trust, exported_at=exported_at)
    elif origin.public_key != trust:
        raise BankUntrusted("Another key was pinned for this origin.")
    elif exported_at < origin.exported_at:
        raise BankStale(newest=origin.exported_at.isoformat())
    here = {voice.bank_ref: voice for voice in ProtectedVoice.objects.filter(bank=origin, state=ProtectionState.ACTIVE)}
    gone = [voice for ref, voice in here.items() if ref not in units]
    for voice in gone:
        protected.remove(voice=voice, reason="left_the_bank", actor=actor)
    fresh = [ref for ref in units if ref not in here]
    for ref in fresh:
        protected.add(
            embedding=units[ref],
            source=ProtectionSource.BANK,
            label=f"{origin.name} {ref}"[:MAX_NAME],
            public_name=names[ref],
            bank=origin,
            bank_ref=ref,
            actor=actor,
        )
    origin.exported_at, origin.imported_at = exported_at, now()
    origin.save(update_fields=["exported_at", "imported_at"])
    done = Imported(origin.name, len(fresh), len(gone), len(units) - len(fresh))
    log.record(
        kind="protected.imported",
        subject="protected:bank",
        actor=actor,
        data={"origin": origin.name, "added": done.added, "removed": done.removed},
    )
    return done


def _verified(data: bytes, trust: str) -> Mapping[str, Any]:
    if len(data) > MAX_BYTES:
        raise BankInvalid(f"At most {MAX_BYTES} bytes.")
    body, _, rest = data.rstrip(b"\n").rpartition(b"\n")
    try:
        bank, signature = json.loads(body), json.loads(rest)
    except ValueError as error:
        raise BankInvalid("It is not JSON.") from error
    try:
        if not isinstance(signature, dict) or signature["key"] != trust:
            raise BankUntrusted
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(trust))
        public.verify(bytes.fromhex(signature["signature"]), _DOMAIN + body)
    except (InvalidSignature, ValueError, TypeError, KeyError) as error:
        raise BankUntrusted from error
    entries = bank.get("entries") if isinstance(bank, dict) else None
    whole = (
        isinstance(entries, list)
        and len(entries) <= MAX_ENTRIES
        and bank.get("format") == FORMAT
        and isinstance(bank.get("origin"), str)
        and _NAME.fullmatch(bank["origin"])
        and all(_is_entry(entry) for entry in entries)
        and len({entry["id"] for entry in entries}) == len(entries)
    )
    if not whole:
        raise BankInvalid
    if bank.get("model") != MODEL:
        raise BankInvalid("Its templates are of another speaker model.")
    return bank


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and entry.keys() == {"id", "public_name", "template"}
        and all(isinstance(value, str) for value in entry.values())
        and bool(_ID.fullmatch(entry["id"]))
        and len(entry["public_name"]) <= MAX_NAME
        and len(entry["template"]) <= 8_192
    )


def _moment(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
        late = found > now() + FUTURE
    except (ValueError, TypeError) as error:
        raise BankInvalid("It does not say when it was made.") from error
    if late:
        raise BankInvalid("It was made in the future.")
    return found


def _unit(template: str, secret: bytes) -> list[float]:
    """The embedding of an entry: unit length, of the model's size. Raises BankInvalid."""
    import numpy as np

    try:
        turned = np.frombuffer(base64.b64decode(template, validate=True), dtype="<f4").astype(np.float64)
    except ValueError as error:
        raise BankInvalid("A template is not one.") from error
    size = int(MODEL.rpartition("-")[2])
    if turned.size != size or not np.isfinite(turned).all() or abs(float(turned @ turned) - 1.0) > 1e-3:
        raise BankInvalid("A template is not one.")
    return [float(number) for number in rotation(secret, size).T @ turned]
