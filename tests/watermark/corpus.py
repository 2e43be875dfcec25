"""Sound files with every fault seeded: what the verifier must name. Made from synthetic sound, never stored.

``bases`` seals clean outputs in every container and both label languages; ``cases`` puts one fault at a time into each.
A case says which codes of weight fault or doubt must be found, exactly, and which verdict follows.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import mutagen
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mutagen.flac import FLAC
from mutagen.id3 import TXXX
from mutagen.mp3 import MP3
from mutagen.oggopus import OggOpus

from foundation.audit import canonical, merkle, notes
from watermark import status
from watermark.codec.embed import embed
from watermark.evidence import Materials
from watermark.labels import aigc, audible, encode, manifest, mp4
from watermark.labels.profile import load_profile
from watermark.labels.spoken import words
from watermark.seal import Sealed, canonical_json, seal

RATE = 24_000
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
SIGNER, LOG, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2, 3))
MARK_KEY = bytes(range(32))
PROVIDER = "0011DEMODEMODEMODEMO0010000"
PROFILE = load_profile("in")
ISSUED = (101, 202, 303)
CONTAINERS = ("wav", "flac", "mp3", "opus", "m4a")


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


@dataclass(frozen=True)
class Base:
    """A clean output, and what it was made of: ``marked`` is the marked sound without its label."""

    name: str
    container: str
    language: str
    sealed: Sealed
    speech: np.ndarray
    marked: np.ndarray
    credential: manifest.Credential
    stranger: manifest.Credential

    @property
    def content_id(self) -> str:
        return str(self.sealed.provenance["statement"]["content_id"])


@dataclass(frozen=True)
class Case:
    """A file, what lies beside it, the codes that must be named (faults and doubts) and the verdict."""

    name: str
    data: bytes
    materials: Materials
    codes: frozenset[str]
    verdict: str
    profile: str = "in"


def make_base(
    speech: np.ndarray, container: str, language: str, credential: manifest.Credential, stranger: manifest.Credential
) -> Base:
    """``speech`` float (samples,) at RATE."""
    content_id = f"8f14e45f-ceea-467f-9d5c-{container}-{language}"
    sealed = seal(
        speech, RATE, payload=ISSUED[0], mark_key=MARK_KEY, label_profile=PROFILE, language=language,
        content_id=content_id, provider_code=PROVIDER, created=AT, sign=SIGNER.sign, verify=lambda *_: True,
        credential=credential, rehearsal=False, container=container, claims={"status": {"list": 1, "index": 7}},
    )  # fmt: skip
    marked = embed(speech, RATE, ISSUED[0], MARK_KEY)
    return Base(f"{container}-{language}", container, language, sealed, speech, marked, credential, stranger)


def receipt(base: Base, key: Ed25519PrivateKey = LOG, **changes: Any) -> dict[str, Any]:
    """A log of one leaf."""
    statement = base.sealed.provenance["statement"]
    content_id = changes.pop("content_id", base.content_id)
    data = {"sha256": base.sealed.sha256, "payload_commitment": statement["payload_commitment"], **changes}
    body = canonical.encode(
        {"v": 1, "kind": "output.sealed", "subject": f"output:{content_id}", "actor": "system:test",
         "at": AT.isoformat(), "rehearsal": False, "data": data}
    )  # fmt: skip
    checkpoint = notes.SignedCheckpoint("vouch.example/log", 1, merkle.leaf_hash(body))
    note = notes.sign(checkpoint, key.private_bytes_raw())
    return {"v": 1, "leaf": {"index": 0, "body": body.decode()}, "proof": [], "checkpoint": note}


def status_list(revoked: tuple[int, ...] = (), at: datetime = AT) -> bytes:
    return status.make(1, revoked, address="https://vouch.example/1", issuer="vouch", sign=SIGNER.sign, at=at)


def materials(base: Base, **changes: Any) -> Materials:
    """Everything a checker can have."""
    full = Materials(
        sidecar=base.sealed.sidecar,
        proof={"provenance": base.sealed.provenance, "receipt": receipt(base)},
        roots=base.credential.roots,
        log_key=public(LOG),
        signer_key=public(SIGNER),
        mark_key=MARK_KEY,
        issued=ISSUED,
        status=status_list(),
    )
    return replace(full, **changes)


def put_labels(data: bytes, container: str, texts: list[str]) -> bytes:
    """Write AIGC labels as they come, as no writer of ours would."""
    if container == "wav":
        for text in texts:
            body = text.encode()
            chunk = struct.pack("<4sI", b"AIGC", len(body)) + body + b"\0" * (len(body) % 2)
            data = data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:] + chunk
        return data
    if container == "m4a":
        for index, text in enumerate(texts):
            made = mp4.with_item(data, "AIGC", text)
            if index:  # a second `udta` beside the first
                moov = made.index(b"moov") - 4
                first = data[data.index(b"udta", moov) - 4 :]
                grown = made + first
                made = grown[:moov] + struct.pack(">I", len(grown) - moov) + grown[moov + 4 :]
            data = made
        return data
    buffer = io.BytesIO(data)
    kinds: dict[str, Any] = {"mp3": MP3, "flac": FLAC, "opus": OggOpus}
    file: mutagen.FileType = kinds[container](fileobj=buffer)
    if file.tags is None:
        file.add_tags()
    tags: Any = file.tags
    if container == "mp3":
        for name, text in zip(("AIGC", "aigc"), texts, strict=False):
            tags.add(TXXX(encoding=3, desc=name, text=[text]))
    else:
        tags["AIGC"] = texts
    buffer.seek(0)
    file.save(buffer)
    return buffer.getvalue()


def rebuilt(
    base: Base,
    *,
    wave: np.ndarray | None = None,
    texts: list[str] | None = None,
    credential: manifest.Credential | None = None,
    facts: dict[str, Any] | None = None,
    proved: bool = True,
    **changes: Any,
) -> tuple[bytes, Materials]:
    """The output made again with one thing different, properly signed over what it is."""
    if wave is None:
        wave = audible.with_label(base.marked, RATE, PROFILE, base.language).wave
    data = encode.encode(wave, RATE, base.container)
    data = put_labels(data, base.container, [good_label(base)] if texts is None else texts)
    told = {key: value for key, value in base.sealed.provenance["statement"].items() if "sha256" not in key}
    sidecar = None
    if credential is not UNSIGNED:
        told_otherwise = {**told, **(facts or {})}
        by = credential or base.credential
        signed = manifest.sign(data, base.container, told_otherwise, by, generator="Vouch", version="1")
        data, sidecar = signed.data, signed.sidecar
    sha256 = hashlib.sha256(data).hexdigest()
    statement = {**told, "sha256": sha256}
    provenance = {"statement": statement, "signature": SIGNER.sign(canonical_json(statement)).hex(),
                  "algorithm": "Ed25519"}  # fmt: skip
    proof = {"provenance": provenance, "receipt": receipt(base, sha256=sha256)} if proved else None
    return data, materials(base, sidecar=sidecar, proof=proof, **changes)


UNSIGNED = manifest.Credential("", "", "")


def good_label(base: Base, **changes: str) -> str:
    values = dict(aigc.AigcLabel.produced(provider_code=PROVIDER, content_id=base.content_id).pairs())
    return json.dumps({**values, **changes}, separators=(",", ":"))


def hurried(wave: np.ndarray, factor: float) -> np.ndarray:
    """``wave`` said faster at the same pitch: overlapping frames of 40 ms, each put where it fits the last one best."""
    size, hop = RATE // 25, RATE // 50
    window = np.hanning(size)
    out = np.zeros(int(len(wave) / factor) + 2 * size)
    at, natural = 0, wave[:size]
    for start in range(0, len(out) - size - hop, hop):
        centre = int(start * factor)
        tries = [
            centre + shift for shift in range(-hop // 2, hop // 2, 24) if 0 <= centre + shift < len(wave) - 2 * size
        ]
        if not tries:
            break
        at = max(tries, key=lambda place: float(np.dot(wave[place : place + size], natural)))
        out[start : start + size] += wave[at : at + size] * window
        natural = wave[at + hop : at + hop + size]
    return out.astype(np.float32)


def label_block(base: Base, factor: float = 1.0) -> np.ndarray:
    said = words(PROFILE.line(base.language), RATE) * np.float32(0.3)
    silence = np.zeros(RATE // 2, np.float32)
    return np.concatenate([silence, hurried(said, factor) if factor != 1 else said, silence])


def cases(base: Base) -> Iterator[Case]:
    """Each fault, once, in this output."""

    def case(name: str, made: tuple[bytes, Materials], verdict: str, *codes: str, profile: str = "in") -> Case:
        return Case(f"{base.name} {name}", made[0], made[1], frozenset(codes), verdict, profile)

    clean, full = base.sealed.data, materials(base)
    bad = "noncompliant"
    yield case("clean", (clean, full), "compliant")
    yield case("made again", rebuilt(base), "compliant")
    # -- heard
    yield case("no label heard", rebuilt(base, wave=base.marked), bad, "audible.missing")
    inside = np.concatenate([base.marked[:RATE], label_block(base), base.marked])
    yield case("label inside", rebuilt(base, wave=inside), bad, "audible.wrong_place")
    fast = np.concatenate([label_block(base, 1.8), base.marked])
    yield case("label too fast", rebuilt(base, wave=fast), bad, "audible.wrong_rate")
    rhythm = audible.with_label(base.marked, RATE, load_profile("cn"), "en").wave
    yield case("rhythm for words", rebuilt(base, wave=rhythm), bad, "audible.wrong_kind", "agree.kinds")
    other = "zh" if base.language == "en" else "en"
    foreign = audible.with_label(base.marked, RATE, PROFILE, other).wave
    yield case("label in another language", rebuilt(base, wave=foreign), bad, "agree.language")
    # -- metadata
    yield case("no AIGC", rebuilt(base, texts=[]), bad, "aigc.missing")
    yield case("two AIGC", rebuilt(base, texts=[good_label(base)] * 2), bad, "aigc.duplicate")
    yield case("AIGC not JSON", rebuilt(base, texts=["made by AI"]), bad, "aigc.malformed")
    yield case("AIGC without Label", rebuilt(base, texts=[good_label(base).replace('"Label":"1",', "")]), bad,
               "aigc.keys", "aigc.empty")  # fmt: skip
    yield case("AIGC of another maker", rebuilt(base, texts=[good_label(base, ContentProducer="Minimax Agent AI")]),
               bad, "aigc.characters", "agree.producer")  # fmt: skip
    yield case("AIGC only suspects", rebuilt(base, texts=[good_label(base, Label="3")]), bad, "aigc.not_generated")
    yield case("AIGC wrapped", rebuilt(base, texts=['{"AIGC":' + good_label(base) + "}"]), "compliant")
    yield case("AIGC of another output", rebuilt(base, texts=[good_label(base, ProduceID="other")]), bad,
               "agree.content_id")  # fmt: skip
    yield case("AIGC rehearsal", rebuilt(base, texts=[good_label(base, ReservedCode1="rehearsal")]), bad,
               "agree.rehearsal")  # fmt: skip
    # -- content credential
    yield case("no credential", rebuilt(base, credential=UNSIGNED), bad, "c2pa.missing", profile="us")
    yield case("forged credential", rebuilt(base, credential=base.stranger), bad, "c2pa.untrusted")
    yield case("credential of another output", rebuilt(base, facts={"payload_commitment": "00" * 32}), bad,
               "agree.payload_commitment")  # fmt: skip
    yield case("credential of another time", rebuilt(base, facts={"created": "2026-01-01T00:00:00+00:00"}), bad,
               "agree.created")  # fmt: skip
    flipped = bytearray(clean)
    sound = {"wav": clean.find(b"data") + 30_001, "m4a": clean.find(b"mdat") + 5_000}
    flipped[sound.get(base.container, len(clean) - 30)] ^= 1
    spoiled = ["c2pa.invalid", "statement.other_file"]
    if base.container == "flac":  # its frames carry a checksum: the sound cannot even be decoded
        spoiled += ["file.unreadable", "audible.required"]
    yield case("one bit flipped", (bytes(flipped), full), bad, *spoiled)
    yield case("no time-stamp", (clean, full), bad, "c2pa.time_stamp_missing", profile="eu")
    # -- watermark
    unmarked = audible.with_label(base.speech, RATE, PROFILE, base.language).wave
    yield case("no mark", rebuilt(base, wave=unmarked), bad, "watermark.missing", "c2pa.time_stamp_missing",
               profile="eu")  # fmt: skip
    swapped = audible.with_label(embed(base.speech, RATE, ISSUED[1], MARK_KEY), RATE, PROFILE, base.language).wave
    yield case("mark of another output", rebuilt(base, wave=swapped), bad, "agree.payload_commitment")
    chained = audible.with_label(embed(base.marked, RATE, ISSUED[1], MARK_KEY), RATE, PROFILE, base.language).wave
    yield case("mark upon a mark", rebuilt(base, wave=chained), bad, "watermark.several")
    yield case("mark cannot be looked for", rebuilt(base, mark_key=None), "compliant")
    # -- statement, log, status
    forged = {**base.sealed.provenance, "signature": STRANGER.sign(b"x").hex()}
    yield case("forged statement", (clean, materials(base, proof={"provenance": forged, "receipt": receipt(base)})),
               bad, "statement.signature")  # fmt: skip
    yield case("log key unknown", (clean, materials(base, log_key=public(STRANGER))), "inconclusive",
               "log.key_unknown")  # fmt: skip
    lied = {"provenance": base.sealed.provenance, "receipt": receipt(base, content_id="other")}
    yield case("receipt of another output", (clean, materials(base, proof=lied)), bad, "agree.content_id")
    yield case("revoked", (clean, materials(base, status=status_list((7,)))), bad, "status.revoked")
    old = status_list(at=AT - timedelta(days=3))
    yield case("stale list", (clean, materials(base, status=old)), "inconclusive", "status.stale")
    yield case("list of a stranger", (clean, materials(base, signer_key=public(STRANGER))), bad,
               "statement.signature", "status.invalid")  # fmt: skip
    # -- nothing of anybody
    plain = encode.encode(base.speech, RATE, base.container)
    yield case("no label of any kind", (plain, Materials(mark_key=MARK_KEY, issued=ISSUED)), "not_found",
               "audible.missing", "aigc.missing")  # fmt: skip
