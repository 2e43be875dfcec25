"""The seal fails closed: every fault put in is answered by a SealError that names the step, never by a file."""

import dataclasses
import hashlib
from datetime import UTC, datetime

import numpy as np
import pytest
import soxr
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation import certificates
from watermark.labels import aigc, audible, encode, manifest
from watermark.labels.profile import load_profile
from watermark.seal import SealError, canonical_json, check_deliverable, payload_commitment, seal

SIGNER, STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32)), Ed25519PrivateKey.from_private_bytes(b"x" * 32)
PROFILE = load_profile("cn")
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
    "language": "en",
    "content_id": "8f14e45f-ceea-467f-9d5c-000000000001",
    "provider_code": PROVIDER,
    "created": datetime(2026, 11, 1, 12, tzinfo=UTC),
    "sign": SIGNER.sign,
    "verify": verify,
    "rehearsal": False,
}


@pytest.fixture(scope="module", autouse=True)
def signing(credential):
    REQUEST["credential"] = credential


def check(sealed, data=None, **changes):
    values = {
        "sidecar": sealed.sidecar,
        "roots": REQUEST["credential"].roots,
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
def sealed(speech, signing):
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
        "content credential",
        "provenance",
        "verify",
    ]
    assert sealed.mark_score > 8.7
    assert check(sealed) == pytest.approx(sealed.mark_score)


@pytest.mark.parametrize("container", ["flac", "mp3", "opus", "m4a"])
def test_every_container_is_sealed(speech, container):
    out = seal(speech[: 4 * 32_000], 32_000, **{**REQUEST, "container": container})
    assert out.media_type == encode.MEDIA_TYPES[container]
    assert (out.sidecar is not None) is (container == "opus")
    assert check(out, container=container) > 8.7


@pytest.mark.parametrize("name", ["eu", "in", "us"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_profile_is_sealed_in_the_listeners_language(speech, name, language):
    profile = load_profile(name)
    out = seal(speech[: 3 * 32_000], 32_000, **{**REQUEST, "label_profile": profile, "language": language})
    heard = audible.hear(*encode.decode(out.data), profile)
    assert [one.position for one in heard] == ["start"]
    assert {one.kind for one in heard} == set(profile.writes)
    if "spoken" in profile.writes:
        assert out.provenance["statement"]["label"]["language"] == language == heard[0].language


def test_credential_says_what_the_statement_says(sealed):
    said = manifest.read(sealed.data, "wav", roots=REQUEST["credential"].roots)
    assert said.state == "Trusted"
    assert said.source_types == (manifest.SOURCE_TYPE,)
    assert said.actions == ("c2pa.created", "c2pa.watermarked.unbound")
    assert {**said.facts, "sha256": sealed.sha256} == sealed.provenance["statement"]


def test_claims_stand_in_the_credential_and_cannot_contradict_the_seal(speech):
    out = seal(speech, 32_000, **REQUEST, claims={"status": {"list": 1, "index": 7}})
    assert manifest.read(out.data, "wav").facts["status"] == {"list": 1, "index": 7}
    with pytest.raises(SealError, match="content credential: a claim contradicts"):
        seal(speech, 32_000, **REQUEST, claims={"rehearsal": True})


def test_output_is_delivered_at_the_rate_asked_for(speech):
    for rate in (24_000, 48_000):
        assert encode.decode(seal(speech[: 3 * 32_000], 32_000, **REQUEST, output_rate=rate).data)[1] == rate


def test_rehearsal_is_written_into_file_and_statement(speech):
    out = seal(speech, 32_000, **{**REQUEST, "rehearsal": True})
    assert aigc.read_label(out.data, "wav").reserved_code1 == "rehearsal"
    assert b"rehearsal" in out.data
    assert out.provenance["statement"]["rehearsal"] is True


def test_same_request_gives_the_same_sound(sealed, speech):
    again = seal(speech, 32_000, **REQUEST)
    assert np.array_equal(encode.decode(again.data)[0], encode.decode(sealed.data)[0])


def test_statement_does_not_give_the_payload_away(sealed):
    assert str(PAYLOAD) not in canonical_json(sealed.provenance["statement"]).decode()
    assert payload_commitment(PAYLOAD, bytes(32)) != sealed.provenance["statement"]["payload_commitment"]


def shaped(**values):
    return dataclasses.replace(PROFILE, rhythm=dataclasses.replace(PROFILE.rhythm, **values))


def altered_words(profile):
    return dataclasses.replace(
        profile, spoken=tuple(dataclasses.replace(line, sha256="00" * 32) for line in profile.spoken)
    )


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
        ("request", {"container": "aiff"}),
        ("request", {"output_rate": 22_050}),
        ("request", {"pcm": None, "output_rate": 24_000}),
        ("watermark", {"pcm": np.zeros(96_000, np.float32)}),
        ("watermark", {"pcm": np.full(96_000, np.nan, np.float32)}),
        ("watermark", {"pcm": np.ones((2, 96_000), np.float32)}),
        ("watermark", {"pcm": None}),
        ("watermark", {"rate": 11_025}),
        ("watermark", {"strength": 99.0}),
        ("audible label", {"label_profile": shaped(tone_hz=20_000.0)}),
        ("audible label", {"label_profile": altered_words(load_profile("eu"))}),
        ("content credential", {"credential": manifest.Credential("no key", "no chain", "")}),
        ("encode", {"label_profile": shaped(level_dbfs=float("nan"))}),
        ("provenance", {"sign": lambda message: None}),
        ("verify signature", {"sign": STRANGER.sign}),
        ("verify signature", {"sign": lambda message: b""}),
        ("verify signature", {"verify": lambda signature, message: False}),
        ("verify signature", {"verify": lambda signature, message: None}),
        ("verify audible label", {"label_profile": shaped(long_units=1.0)}),
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


def test_credential_of_a_stranger_is_not_enough(sealed, speech, tmp_path):
    certificates.make_missing(tmp_path)
    other = certificates.load(tmp_path)
    stranger = manifest.Credential(other.private_key, other.chain, REQUEST["credential"].roots)
    with pytest.raises(SealError, match="verify content credential: it is Valid, not Trusted") as refused:
        seal(speech, 32_000, **{**REQUEST, "credential": stranger})
    assert refused.value.step == "verify content credential"


def test_time_stamp_authority_that_cannot_be_reached_is_named(speech):
    away = dataclasses.replace(REQUEST["credential"], time_stamp_url="http://127.0.0.1:9/tsa")
    with pytest.raises(SealError, match="content credential: the manifest cannot be made"):
        seal(speech, 32_000, **{**REQUEST, "credential": away})


def test_metadata_that_does_not_read_back_is_named(speech, monkeypatch):
    """The trap of facts: a writer that answers well and writes nothing."""
    monkeypatch.setattr(aigc, "_with_chunk", lambda data, body: data)
    with pytest.raises(SealError, match="metadata: the file holds no AIGC label"):
        seal(speech, 32_000, **REQUEST)


def test_sidecar_that_is_not_the_signed_one_is_named(speech):
    out = seal(speech, 32_000, **{**REQUEST, "container": "opus"})
    for sidecar in (None, out.sidecar[:-1] + b"x"):
        with pytest.raises(SealError, match="verify signature: the sidecar"):
            check(dataclasses.replace(out, sidecar=sidecar), container="opus")


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


@pytest.mark.parametrize("missing", ["metadata", "content credential", "audible label", "watermark"])
def test_missing_layer_is_detected_even_when_properly_signed(sealed, speech, missing):
    label = aigc.read_label(sealed.data, "wav")
    wave = encode.decode(sealed.data)[0]
    if missing == "audible label":
        wave = wave[round(2.32 * 32_000) :]
    if missing == "watermark":
        wave = audible.with_label(speech, 32_000, PROFILE, "en").wave
    data = encode.encode(wave, 32_000, "wav")
    if missing != "metadata":
        data = aigc.write_label(data, "wav", label)
    if missing != "content credential":
        facts = {key: value for key, value in sealed.provenance["statement"].items() if key != "sha256"}
        data = manifest.sign(data, "wav", facts, REQUEST["credential"], generator="Vouch", version="1").data
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
