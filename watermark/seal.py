"""The way from PCM to a deliverable. If any step fails there is no output, and the error names the step.

    PCM -> watermark -> audible label -> encode -> AIGC metadata -> read back -> C2PA -> statement -> verify everything

The order is the only one that leaves every layer valid: the mark must not cover the label's tones, metadata must be in
the file before it is hashed, and nothing may be written after the content credential is in. The statement is signed
over the finished bytes and stays outside. The last step, the log, is the caller's: its leaf must become true in one
transaction with the output's row. This module knows no database: the caller brings the payload from the registry, the
key from the vault, the certificate, and the two functions that sign and verify.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from watermark.codec import fingerprint
from watermark.codec.codeword import check_key, check_payload
from watermark.codec.detect import Detector, threshold
from watermark.codec.embed import DEFAULT_STRENGTH, embed_checked
from watermark.codec.grid import EMBED_RATES, Wave, checked_wave, resampled
from watermark.codec.transcode import voice_note
from watermark.companion import Companion
from watermark.labels import aigc, audible, encode, manifest
from watermark.labels.profile import LabelProfile

#: Word that stands in the metadata and the statement of everything made in a rehearsal.
REHEARSAL = "rehearsal"
#: Version of the provenance statement's form.
STATEMENT_VERSION = 2
#: Name of the system in the content credential, and the version of what it says there.
GENERATOR, GENERATOR_VERSION = "Vouch", "1"
#: Name of the signature scheme the callables must implement: Ed25519, RFC 8032.
SIGNATURE_ALGORITHM = "Ed25519"
#: Payloads and alignments among which the mark of a finished file must be provable to one in a million: a million
#: outputs, and a search over windows and speeds. The score this takes is 8.7.
PROVABLE_AMONG = (1_000_000, 25_600)

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]


class SealError(Exception):
    """A step of the seal failed; nothing may be delivered. ``step`` names it."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step
        self.message = message


@dataclass(frozen=True)
class Step:
    """A step that was done, and what it found."""

    name: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sealed:
    """A deliverable: the file, and what is known of it. ``provenance`` is {"statement", "signature", "algorithm"};
    the signature (hex) is over canonical_json(statement). ``sidecar`` is the C2PA manifest where the container has no
    place for it (Ogg Opus)."""

    data: bytes
    sidecar: bytes | None
    media_type: str
    sha256: str
    label_seconds: float
    mark_score: float
    provenance: dict[str, Any]
    steps: list[Step]
    #: For watermark.services.record_sound(): what the speech sounds like, the mark's strength in dB, and its score
    #: after Opus at 16 kbit/s.
    print_of_sound: bytes
    mark_strength: float
    voice_note_score: float


def seal(
    pcm: Wave,
    rate: int,
    *,
    payload: int,
    mark_key: bytes,
    label_profile: LabelProfile,
    language: str,
    content_id: str,
    provider_code: str,
    created: datetime,
    sign: Sign,
    verify: Verify,
    credential: manifest.Credential,
    rehearsal: bool,
    container: str = "wav",
    output_rate: int | None = None,
    claims: Mapping[str, Any] | None = None,
    strength: float = DEFAULT_STRENGTH,
    companion: Companion | None = None,
) -> Sealed:
    """Mark, label, encode, sign and check ``pcm`` (float mono (samples,), -1..1; rate one of grid.EMBED_RATES).

    ``payload`` comes from services.issue_mark(); ``language`` is the listener's; ``created`` must carry a time zone;
    ``sign(message)`` returns a signature that ``verify(signature, message)`` accepts. ``output_rate`` (one of
    grid.EMBED_RATES) is the rate delivered, where it is not ``rate``. ``claims`` are further facts for
    credential and statement: commitments to consent and licence, the place in the status list. ``companion`` lays
    audiowmark's mark over a long narration. Raises SealError and nothing else.
    """
    steps: list[Step] = []

    def done(name: str, **detail: Any) -> None:
        steps.append(Step(name, detail))

    with step("request"):
        check_key(mark_key)
        check_payload(payload)
        if created.tzinfo is None:
            raise ValueError("the time of making must carry a time zone")
        if container not in encode.MEDIA_TYPES:
            raise ValueError(f"there is no container {container!r}")
        label = aigc.AigcLabel.produced(
            provider_code=provider_code, content_id=content_id, reserved=REHEARSAL if rehearsal else ""
        )
        pcm, rate = _at_rate(pcm, rate, output_rate)

    with step("watermark"):
        # The mark is read back through the very encoding that will be delivered, so that it is made strong enough.
        marked = embed_checked(
            pcm, rate, payload, mark_key, strength=strength,
            channel=lambda wave, at: encode.decode(encode.encode(wave, at, container)),
        )  # fmt: skip
        print_of_sound = fingerprint.fingerprint(marked.wave, rate)
        voice_note_score = Detector(mark_key).score(*voice_note(marked.wave, rate), payload)
        done(
            "watermark", strength_db=round(marked.strength, 2), score=round(marked.score, 2),
            voice_note_score=round(voice_note_score, 2),
        )  # fmt: skip

    wave = marked.wave
    if companion is not None and companion.wanted(len(wave) / rate):
        with step("second mark"):
            wave, second = companion.mark(
                wave, rate, payload, channel=lambda sound, at: encode.decode(encode.encode(sound, at, container))
            )
            done("second mark", kind="audiowmark", strength=second)

    with step("audible label"):
        labelled = audible.with_label(wave, rate, label_profile, language)
        heard = label_facts(label_profile, language, labelled.seconds)
        done("audible label", **heard)

    with step("encode"):
        data = encode.encode(labelled.wave, rate, container)
        done("encode", container=container)

    with step("metadata"):
        data = aigc.write_label(data, container, label)  # reads back and parses what it wrote
        done("metadata", label=label.to_json())

    return certified(
        data,
        container=container,
        marked=MarkedSound(payload, print_of_sound, marked.strength, voice_note_score),
        label=label,
        label_profile=label_profile,
        heard=heard,
        label_seconds=labelled.seconds,
        mark_key=mark_key,
        created=created,
        sign=sign,
        verify=verify,
        credential=credential,
        claims=claims,
        steps=steps,
    )


@dataclass(frozen=True)
class MarkedSound:
    """What is known of a sound once it is marked: see Sealed."""

    payload: int
    print_of_sound: bytes
    strength: float
    voice_note_score: float


def certified(
    data: bytes,
    *,
    container: str,
    marked: MarkedSound,
    label: aigc.AigcLabel,
    label_profile: LabelProfile,
    heard: dict[str, Any],
    label_seconds: float,
    mark_key: bytes,
    created: datetime,
    sign: Sign,
    verify: Verify,
    credential: manifest.Credential,
    claims: Mapping[str, Any] | None,
    steps: list[Step],
) -> Sealed:
    """The second half of every seal, here and in `watermark.stream`: content credential, statement, and every layer of
    the finished bytes checked. ``data`` is a marked, labelled, encoded file with its metadata; ``steps`` are those done
    so far. Raises SealError.
    """

    def done(name: str, **detail: Any) -> None:
        steps.append(Step(name, detail))

    facts = {
        "version": STATEMENT_VERSION,
        "content_id": label.produce_id,
        "payload_commitment": payload_commitment(marked.payload, mark_key),
        "producer": label.content_producer,
        "created": created.astimezone(UTC).isoformat(timespec="seconds"),
        "rehearsal": label.reserved_code1 == REHEARSAL,
        "label": heard,
    }
    with step("content credential"):
        told = {**facts, **(claims or {})}
        if told != {**(claims or {}), **facts}:
            raise ValueError("a claim contradicts a fact of the seal")
        signed = manifest.sign(data, container, told, credential, generator=GENERATOR, version=GENERATOR_VERSION)
        data = signed.data
        done("content credential", embedded=signed.sidecar is None)

    with step("provenance"):
        statement = {**told, "sha256": hashlib.sha256(data).hexdigest()}
        if signed.sidecar is not None:
            statement["sidecar_sha256"] = hashlib.sha256(signed.sidecar).hexdigest()
        signature = sign(canonical_json(statement))
        provenance = {"statement": statement, "signature": signature.hex(), "algorithm": SIGNATURE_ALGORITHM}
        done("provenance", sha256=statement["sha256"])

    score = check_deliverable(
        data, sidecar=signed.sidecar, container=container, payload=marked.payload, mark_key=mark_key,
        label_profile=label_profile, label=label, provenance=provenance, verify=verify, roots=credential.roots,
        stamped=credential.time_stamp_url is not None,
    )  # fmt: skip
    done("verify", score=round(score, 2))
    return Sealed(
        data=data,
        sidecar=signed.sidecar,
        media_type=encode.MEDIA_TYPES[container],
        sha256=str(statement["sha256"]),
        label_seconds=label_seconds,
        mark_score=score,
        provenance=provenance,
        steps=steps,
        print_of_sound=marked.print_of_sound,
        mark_strength=marked.strength,
        voice_note_score=marked.voice_note_score,
    )


def check_deliverable(
    data: bytes,
    *,
    sidecar: bytes | None,
    container: str,
    payload: int,
    mark_key: bytes,
    label_profile: LabelProfile,
    label: aigc.AigcLabel,
    provenance: dict[str, Any],
    verify: Verify,
    roots: str,
    stamped: bool = False,
) -> float:
    """Check every layer of a finished file from its bytes alone and return the mark's score.

    Raises SealError with step ``verify signature``, ``verify metadata``, ``verify content credential``,
    ``verify audible label`` or ``verify watermark``.
    """
    with step("verify signature"):
        statement = provenance["statement"]
        if provenance["algorithm"] != SIGNATURE_ALGORITHM:
            raise ValueError(f"the signature is not {SIGNATURE_ALGORITHM}")
        if verify(bytes.fromhex(provenance["signature"]), canonical_json(statement)) is not True:
            raise ValueError("the signature does not fit the statement")
        if hashlib.sha256(data).hexdigest() != statement["sha256"]:
            raise ValueError("the file is not the one that was signed")
        if statement.get("sidecar_sha256") != (None if sidecar is None else hashlib.sha256(sidecar).hexdigest()):
            raise ValueError("the sidecar is not the one that was signed")
        if not hmac.compare_digest(statement["payload_commitment"], payload_commitment(payload, mark_key)):
            raise ValueError("the statement is about another payload")

    with step("verify metadata"):
        found = aigc.read_label(data, container)
        if found != label:
            raise ValueError("the file's AIGC label is not the one that was written")
        if found.produce_id != statement["content_id"] or found.content_producer != statement["producer"]:
            raise ValueError("label and statement name different contents or producers")
        if (found.reserved_code1 == REHEARSAL) is not statement["rehearsal"]:
            raise ValueError("label and statement do not agree on whether this was a rehearsal")

    with step("verify content credential"):
        said = manifest.read(data, container, roots=roots, sidecar=sidecar)
        if said is None:
            raise ValueError("there is no content credential")
        if said.state != "Trusted":
            raise ValueError(f"it is {said.state}, not Trusted: {', '.join(said.failures) or 'no reason given'}")
        if stamped and not said.time_trusted:
            raise ValueError("no authority that the roots trust has time-stamped it")
        if manifest.SOURCE_TYPE not in said.source_types:
            raise ValueError("it does not say that the sound was made by a model")
        for key in statement.keys() - {"sha256", "sidecar_sha256"}:
            if said.facts.get(key) != statement[key]:
                raise ValueError(f"credential and statement differ in {key}")

    with step("verify audible label"):
        wave, rate = encode.decode(data)
        heard = audible.hear(wave, rate, label_profile)
        for kind in label_profile.writes:
            if not any(
                one.kind == kind and one.position in label_profile.positions and one.rate_is_legal for one in heard
            ):
                raise ValueError(f"the {kind} label is not heard at the {' or the '.join(label_profile.positions)}")

    with step("verify watermark"):
        score = Detector(mark_key).score(_content(wave, rate, heard, label_profile), rate, payload)
        least = threshold(*PROVABLE_AMONG)
        if score < least:
            raise ValueError(f"the mark reads back at {score:.1f}; {least:.1f} is needed")
    return score


def label_facts(profile: LabelProfile, language: str, seconds: float) -> dict[str, Any]:
    """What the statement says of the audible label."""
    facts = {"profile": profile.name, "version": profile.version, "kinds": list(profile.writes),
             "seconds": round(seconds, 3)}  # fmt: skip
    if "spoken" in profile.writes:
        facts["language"] = profile.line(language).language
    return facts


def _at_rate(pcm: Wave, rate: int, wanted: int | None) -> tuple[Wave, int]:
    if wanted is None or wanted == rate:
        return pcm, rate
    if wanted not in EMBED_RATES:
        raise ValueError(f"no output has a rate of {wanted} Hz")
    return np.clip(resampled(checked_wave(pcm, rate, rates=EMBED_RATES, mono=True), rate, wanted), -1, 1), wanted


def _content(wave: Wave, rate: int, heard: list[audible.Heard], profile: LabelProfile) -> Wave:
    """``wave`` without its labels and the silences beside them."""
    start = max((one.end_s + profile.silence_s for one in heard if one.position == "start"), default=0.0)
    end = min((one.start_s - profile.silence_s for one in heard if one.position == "end"), default=len(wave) / rate)
    return wave[round(start * rate) : round(end * rate)]


def payload_commitment(payload: int, mark_key: bytes) -> str:
    """What the statement says of the payload: HMAC-SHA256 under the mark key, hex. A bare hash of 48 bits could be
    undone by trying them all."""
    message = b"vouch payload" + check_payload(payload).to_bytes(8, "big")
    return hmac.new(check_key(mark_key), message, hashlib.sha256).hexdigest()


def canonical_json(value: dict[str, Any]) -> bytes:
    """The one spelling of a statement that is signed: sorted keys, no spaces, ASCII (as RFC 8785 for such values)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Turn whatever fails inside into a SealError of this step: a surprise must not look like a success."""
    try:
        yield
    except SealError:
        raise
    except Exception as error:
        raise SealError(name, str(error) or type(error).__name__) from error
