import pytest

from foundation import certificates
from watermark.labels import aigc, manifest
from watermark.labels.encode import MEDIA_TYPES, decode, encode

FACTS = {"content_id": "8f14e45f", "created": "2026-11-01T12:00:00+00:00", "rehearsal": False}
LABEL = aigc.AigcLabel.produced(provider_code="0011DEMODEMODEMODEMO0010000", content_id="8f14e45f")


def signed(data, container, credential, facts=FACTS):
    return manifest.sign(data, container, facts, credential, generator="Vouch", version="1")


@pytest.fixture(scope="module", params=list(MEDIA_TYPES))
def container(request):
    return request.param


@pytest.fixture(scope="module")
def labelled(buzzy, container):
    return aigc.write_label(encode(buzzy(2, 1.0), 32_000, container), container, LABEL)


def test_signed_file_is_trusted_and_keeps_sound_and_label(labelled, container, credential):
    out = signed(labelled, container, credential)
    said = manifest.read(out.data, container, roots=credential.roots, sidecar=out.sidecar)
    assert (said.state, said.failures, said.signed_at) == ("Trusted", (), None)
    assert said.facts == FACTS
    assert said.generator.startswith("Vouch 1")
    assert said.signer == "Vouch TEST ONLY signer"
    assert aigc.read_label(out.data, container) == LABEL
    assert (decode(out.data)[0] == decode(labelled)[0]).all()
    assert (out.sidecar is None) is (container != "opus")


def test_label_written_after_signing_breaks_the_signature(buzzy, container, credential):
    out = signed(encode(buzzy(2, 1.0), 32_000, container), container, credential)
    late = aigc.write_label(out.data, container, LABEL)
    said = manifest.read(late, container, roots=credential.roots, sidecar=out.sidecar)
    assert said.state == "Invalid"
    assert any(code.endswith("Hash.mismatch") for code in said.failures)


def test_one_flipped_bit_of_sound_breaks_the_signature(labelled, container, credential):
    out = signed(labelled, container, credential)
    altered = bytearray(out.data)
    altered[-40 if container in ("opus", "flac", "mp3") else len(labelled) // 2] ^= 1
    said = manifest.read(bytes(altered), container, roots=credential.roots, sidecar=out.sidecar)
    assert said.state == "Invalid"
    assert not said.intact
    assert any(code.endswith("Hash.mismatch") for code in said.failures)


def test_file_without_a_manifest_has_none(labelled, container, credential):
    assert manifest.read(labelled, container, roots=credential.roots) is None


def test_without_its_root_a_signature_is_valid_but_not_trusted(buzzy, credential, tmp_path):
    certificates.make_missing(tmp_path)
    other = certificates.load(tmp_path)
    out = signed(encode(buzzy(2, 1.0), 32_000, "wav"), "wav", credential)
    for roots in ("", other.roots):
        said = manifest.read(out.data, "wav", roots=roots)
        assert (said.state, said.intact) == ("Valid", True)
    assert manifest.read(out.data, "wav", roots=other.roots).failures == ("signingCredential.untrusted",)


@pytest.mark.parametrize("roots", ["garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_roots_that_are_none_are_named_and_no_fault_of_the_file(buzzy, credential, roots):
    out = signed(encode(buzzy(2, 1.0), 32_000, "wav"), "wav", credential)
    with pytest.raises(manifest.ManifestError, match="no PEM certificates"):
        manifest.read(out.data, "wav", roots=roots)


@pytest.mark.parametrize("sidecar", [b"", b"not a manifest", b"\0" * 100, b"x" * (manifest.MAX_SIDECAR + 1)])
def test_a_sidecar_that_is_none_is_invalid(buzzy, sidecar):
    said = manifest.read(encode(buzzy(2, 1.0), 32_000, "opus"), "opus", sidecar=sidecar)
    assert said.state == "Invalid"
    assert said.failures


@pytest.mark.parametrize("key", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_wrong_key_is_named(buzzy, credential, key):
    with pytest.raises(manifest.ManifestError):
        signed(
            encode(buzzy(2, 1.0), 32_000, "wav"), "wav", manifest.Credential(key, credential.chain, credential.roots)
        )


def test_key_of_another_chain_is_refused(buzzy, credential, tmp_path):
    certificates.make_missing(tmp_path)
    other = certificates.load(tmp_path)
    mixed = manifest.Credential(other.private_key, credential.chain, credential.roots)
    with pytest.raises(manifest.ManifestError):
        signed(encode(buzzy(2, 1.0), 32_000, "wav"), "wav", mixed)
