"""The seal fails closed: every fault put in is answered by a SealError that names the step, never by a file."""

import dataclasses
import hashlib
from datetime import UTC, datetime

import numpy as np
import pytest
import soxr
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from watermark.labels import aigc, audible, encode
from watermark.seal import SealError, canonical_json, check_deliverable, payload_commitment, seal

SIGNER, STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32)), Ed25519PrivateKey.from_private_bytes(b"x" * 32)
PROFILE = audible.load_profile()
PROVIDER = "0011DEMODEMODEMODEMO0010000"
PAYLOAD = 123_456_789_012


def verify(signature, message):
    try:
        SIGNER.public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


REQUEST = {
    "payload": PAYLOAD,
    "mark_key": bytes(range(32)),
    "label_profile": PROFILE,
    "content_id": "8f14e45f-ceea-467f-9d5c-000000000001",
    "provider_code": PROVIDER,
    "created": datetime(2026, 11, 1, 12, tzinfo=UTC),
    "sign": SIGNER.sign,
    "verify": verify,
    "rehearsal": False,
}


def check(sealed, data=None, **changes):
    values = {
        "container": "wav",
        "payload": PAYLOAD,
        "mark_key": REQUEST["mark_key"],
        "label_profile": PROFILE,
        "label": aigc.read_label(sealed.data, changes.get("container", "wav")),
        "provenance": sealed.provenance,
        "verify": verify,
        **changes,
    }
    return check_deliverable(sealed.data if data is None else data, **values)


@pytest.fixture(scope="module")
def sealed(speech):
    return seal(speech, 32_000, **REQUEST)


def test_sealed_file_carries_every_layer(sealed, speech):
    assert sealed.media_type == "audio/wav"
    assert sealed.sha256 == hashlib.sha256(sealed.data).hexdigest() == sealed.provenance["statement"]["sha256"]
    assert sealed.label_seconds == pytest.approx(2.32)
    assert len(encode.decode(sealed.data)[0]) == pytest.approx(len(speech) + 2.32 * 32_000, abs=8)
    assert aigc.read_label(sealed.data, "wav").produce_id == REQUEST["content_id"]
    assert [step.name for step in sealed.steps] == [
        "watermark",
        "audible label",
        "encode",
        "metadata",
        "provenance",
        "verify",
    ]
    assert sealed.mark_score > 8.7
    assert check(sealed) == pytest.approx(sealed.mark_score)


@pytest.mark.parametrize("container", ["flac", "mp3", "opus"])
def test_every_container_is_sealed(speech, container):
    out = seal(speech[: 4 * 32_000], 32_000, **{**REQUEST, "container": container})
    assert out.media_type == encode.MEDIA_TYPES[container]
    assert check(out, container=container) > 8.7


def test_rehearsal_is_written_into_file_and_statement(speech):
    out = seal(speech, 32_000, **{**REQUEST, "rehearsal": True})
    assert aigc.read_label(out.data, "wav").reserved_code1 == "rehearsal"
    assert b"rehearsal" in out.data
    assert out.provenance["statement"]["rehearsal"] is True


def test_same_request_gives_the_same_bytes(sealed, speech):
    assert seal(speech, 32_000, **REQUEST).data == sealed.data


def test_statement_does_not_give_the_payload_away(sealed):
    assert str(PAYLOAD) not in canonical_json(sealed.provenance["statement"]).decode()
    assert payload_commitment(PAYLOAD, bytes(32)) != sealed.provenance["statement"]["payload_commitment"]


def nan_tone(profile):
    return dataclasses.replace(profile, level_dbfs=float("nan"))


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        ("request", {"mark_key": b"short"}),
        ("request", {"payload": 0}),
        ("request", {"payload": 2**48}),
        ("request", {"content_id": "two words"}),
        ("request", {"content_id": ""}),
        ("request", {"provider_code": "Vouch"}),
        ("request", {"created": datetime(2026, 11, 1)}),
        ("request", {"container": "m4a"}),
        ("watermark", {"pcm": np.zeros(96_000, np.float32)}),
        ("watermark", {"pcm": np.full(96_000, np.nan, np.float32)}),
        ("watermark", {"pcm": np.ones((2, 96_000), np.float32)}),
        ("watermark", {"pcm": None}),
        ("watermark", {"rate": 11_025}),
        ("watermark", {"strength": 99.0}),
        ("audible label", {"label_profile": dataclasses.replace(PROFILE, tone_hz=20_000.0)}),
        ("encode", {"label_profile": nan_tone(PROFILE)}),
        ("provenance", {"sign": lambda message: None}),
        ("verify signature", {"sign": STRANGER.sign}),
        ("verify signature", {"sign": lambda message: b""}),
        ("verify signature", {"verify": lambda signature, message: False}),
        ("verify signature", {"verify": lambda signature, message: None}),
        ("verify audible label", {"label_profile": dataclasses.replace(PROFILE, long_units=1.0)}),
    ],
)
def test_fault_ends_in_the_step_it_belongs_to(speech, step, changes):
    request = {"pcm": speech, "rate": 32_000, **REQUEST, **changes}
    with pytest.raises(SealError) as refused:
        seal(request.pop("pcm"), request.pop("rate"), **request)
    assert refused.value.step == step


def test_signer_that_breaks_is_named(speech):
    def broken(message):
        raise ConnectionError("the signing service is away")

    with pytest.raises(SealError, match="provenance: the signing service is away"):
        seal(speech, 32_000, **{**REQUEST, "sign": broken})


@pytest.mark.parametrize("place", [5, 0.01, 0.5, 0.9, -3])
def test_one_flipped_bit_anywhere_is_detected(sealed, place):
    at = int(place * len(sealed.data)) if isinstance(place, float) else place
    altered = bytearray(sealed.data)
    altered[at] ^= 1
    with pytest.raises(SealError, match="verify signature: the file is not the one"):
        check(sealed, bytes(altered))


def resigned(data, sealed, **changes):
    statement = {**sealed.provenance["statement"], "sha256": hashlib.sha256(data).hexdigest(), **changes}
    signature = SIGNER.sign(canonical_json(statement)).hex()
    return {"statement": statement, "signature": signature, "algorithm": "Ed25519"}


def test_altered_statement_is_detected(sealed):
    provenance = {**sealed.provenance, "statement": {**sealed.provenance["statement"], "rehearsal": True}}
    with pytest.raises(SealError, match="verify signature"):
        check(sealed, provenance=provenance)
    with pytest.raises(SealError, match="verify signature"):
        check(sealed, provenance={})


def test_another_payload_is_detected(sealed):
    with pytest.raises(SealError, match="another payload"):
        check(sealed, payload=PAYLOAD + 1)


@pytest.mark.parametrize("missing", ["metadata", "audible label", "watermark"])
def test_missing_layer_is_detected_even_when_properly_signed(sealed, speech, missing):
    label = aigc.read_label(sealed.data, "wav")
    wave = encode.decode(sealed.data)[0]
    if missing == "audible label":
        wave = wave[round(2.32 * 32_000) :]
    if missing == "watermark":
        wave = audible.with_label(speech, 32_000, PROFILE)
    data = encode.encode(wave, 32_000, "wav")
    if missing != "metadata":
        data = aigc.write_label(data, "wav", label)
    with pytest.raises(SealError) as refused:
        check(sealed, data, label=label, provenance=resigned(data, sealed))
    assert refused.value.step == f"verify {missing}"


def test_statement_and_label_must_agree(sealed):
    for changes in ({"content_id": "other"}, {"producer": "other"}, {"rehearsal": True}):
        with pytest.raises(SealError, match="verify metadata"):
            check(sealed, provenance=resigned(sealed.data, sealed, **changes))


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_other_rates_are_sealed(speech, rate):
    wave = np.asarray(soxr.resample(speech, 32_000, rate), np.float32)
    assert seal(wave, rate, **REQUEST).mark_score > 8.7
