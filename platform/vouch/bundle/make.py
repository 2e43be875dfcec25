"""Writing an auditor's bundle from the database."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db.models import Max, Min

from consent.biometrics import speech
from foundation import keys
from foundation.audit import archive, canonical, checkpoints, events, notes, selectors, tree
from foundation.audit.models import Checkpoint, Leaf
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from retention import certificates
from retention.errors import NotErased
from retention.models import CustodyItem
from vouch.bundle import content
from vouch.bundle.figures import Tally

ROOMS: Final = Path(certificates.__file__).resolve().parents[1]

TEXTS: Final = {
    "policy": ("safety/packs", ("**/*.json",)),
    "consent": ("consent/texts", ("*.md", "index.json")),
    "retention": ("retention", ("schedule.json",)),
}
"""Texts that decisions rest on: where they lie and which files; each goes to ``texts/<name>/…``."""

MODELS: Final = (
    ("cloning/engine/starter", "*.safetensors"),
    ("watermark/codec/weights", "*.safetensors"),
    ("consent/biometrics", "*.json"),
)
"""Weights and calibrations that ship with Vouch."""

PACKAGED: Final = (("resemblyzer", "pretrained.pt"), ("silero_vad", "data/silero_vad.jit"))


class NoEvents(VouchError):
    """The log has no event in this period."""

    code = "bundle_no_events"


def make(target: Path, *, since: datetime, until: datetime, actor: Actor, audience: str) -> dict[str, Any]:
    """Writes the bundle of the events from ``since`` to before ``until`` and returns its ``about``.

    The leaves are one run of the log without a gap, all between the first and the last event of the period; an event
    ``actor`` may not see goes in as its hash. Bundles of periods that join have runs that join. Outside a transaction
    (signs a checkpoint). Raises NoEvents, FileExistsError, keys.KeyTrouble.
    """
    checkpoint = _checkpoint(until)
    inside = Leaf.objects.filter(index__lt=checkpoint.size, created_at__gte=since, created_at__lt=until)
    found = inside.aggregate(first=Min("index"), last=Max("index"))
    if found["first"] is None:
        raise NoEvents
    first, end = found["first"], found["last"] + 1
    left, right = tree.range_proof(first, end, checkpoint.size)
    about = {
        "v": content.VERSION, "origin": settings.VOUCH_LOG_ORIGIN, "from": since.isoformat(), "to": until.isoformat(),
        "for": audience, "first": first, "end": end, "size": checkpoint.size, "made_at": now().isoformat(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="vouch-bundle-", dir=target.parent) as name:
        folder = Path(name)
        files = {content.ABOUT: canonical.encode(about), content.CHECKPOINT: checkpoints.cosigned(checkpoint).encode()}
        files[content.PROOF] = canonical.encode(
            {"left": [step.hex() for step in left], "right": [step.hex() for step in right]}
        )
        tally = Tally()
        _write(folder / content.EVENTS, _events(first, end, actor, since, until, tally))
        whole = selectors.AUDIT in actor.scopes
        _write(folder / content.CERTIFICATES, _certificates(first, end) if whole else ())
        files[content.FIGURES] = canonical.encode({"figures": tally.figures()})
        files[content.MODELS] = canonical.encode({"files": list(_models())})
        files[content.SCHEMAS] = canonical.encode(events.schemas())
        files |= dict(sorted({**_keys(), **_texts()}.items()))
        parts: list[tuple[str, Path]] = []
        for number, (entry, data) in enumerate(files.items()):
            path = folder / f"part-{number}"
            path.write_bytes(data)
            parts.append((entry, path))
        parts += [(entry, folder / entry) for entry in content.TAIL]
        archive.write(target, parts, origin=settings.VOUCH_LOG_ORIGIN, private_key=keys.private_key("log"))
    return about


def _checkpoint(until: datetime) -> Checkpoint:
    """The newest checkpoint that a witness cosigned, if it has the period's events; else the log as it is now."""
    last = Leaf.objects.filter(created_at__lt=until).aggregate(last=Max("index"))["last"]
    cosigned = Checkpoint.objects.filter(cosignatures__isnull=False, size__gt=-1 if last is None else last)
    return cosigned.order_by("-size").first() or checkpoints.make()


def _events(
    first: int, end: int, actor: Actor, since: datetime, until: datetime, tally: Tally
) -> Iterator[dict[str, Any]]:
    leaves, may_see = Leaf.objects.filter(index__gte=first, index__lt=end).order_by("index"), selectors.sight(actor)
    for leaf in leaves.iterator(chunk_size=1000):
        body = canonical.decode(bytes(leaf.body))
        if not may_see(body):
            tally.hidden()
            yield {"index": leaf.index, "hash": bytes(leaf.leaf_hash).hex()}
            continue
        if since <= datetime.fromisoformat(body["at"]) < until:
            tally.add(body)
        yield {"index": leaf.index, "body": bytes(leaf.body).decode()}


def _certificates(first: int, end: int) -> Iterator[dict[str, Any]]:
    for item in CustodyItem.objects.filter(destroyed_leaf__gte=first, destroyed_leaf__lt=end).order_by(
        "destroyed_leaf"
    ):
        # No certificate before the key store has let go of the key: the reader sees one less than recordings destroyed.
        with suppress(NotErased):
            yield certificates.issue(item)


def _keys() -> dict[str, bytes]:
    """The public keys that an auditor needs to read other records of the platform."""
    origin = settings.VOUCH_LOG_ORIGIN
    found = {f"keys/{name}.pub": keys.public_key(name).hex().encode() + b"\n" for name in ("log", "gate", "provenance")}
    found["keys/log.vkey"] = notes.verifier_key(origin, keys.public_key("log")).encode() + b"\n"
    found["keys/witnesses"] = "".join(f"{one.key.verifier_key}\n" for one in settings.VOUCH_WITNESSES).encode()
    return found


def _texts() -> dict[str, bytes]:
    found = {}
    for name, (folder, patterns) in TEXTS.items():
        base = ROOMS / folder
        for pattern in patterns:
            for path in base.glob(pattern):
                flat = "-".join(path.relative_to(base).parts)
                found[f"texts/{name}/{flat}"] = path.read_bytes()
    return found


def _models() -> Iterator[dict[str, Any]]:
    paths = [(f"{folder}/{path.name}", path) for folder, glob in MODELS for path in sorted((ROOMS / folder).glob(glob))]
    paths += [("/".join(part), speech.packaged_file(*part)) for part in PACKAGED]
    for name, path in paths:
        with path.open("rb") as file:
            yield {"name": name, "size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _write(path: Path, rows: Any) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(canonical.encode(row) + b"\n")
