"""`vouch verify`: verdicts, exit codes, and what it says when it cannot look."""

import json

import numpy as np
import pytest
import soxr

from demo.flite.speaker import speak
from foundation import certificates
from tests.watermark import corpus
from vouch.cli import main
from watermark.labels.manifest import Credential


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clean Ogg output with everything beside it, as a person would lay it out."""
    folder = tmp_path_factory.mktemp("verify")
    certificates.make_missing(folder / "keys")
    found = certificates.load(folder / "keys")
    credential = Credential(found.private_key, found.chain, found.roots)
    wave, rate = speak("This is three seconds of speech, more or less, to be checked.", voice="awb")
    speech = np.asarray(soxr.resample(wave, rate, corpus.RATE) * 0.7, np.float32)
    base = corpus.make_base(speech, "opus", "en", credential, credential)
    (folder / "sound.ogg").write_bytes(base.sealed.data)
    (folder / "sound.ogg.c2pa").write_bytes(base.sealed.sidecar)
    proof = {"provenance": base.sealed.provenance, "receipt": corpus.receipt(base)}
    (folder / "sound.ogg.proof.json").write_text(json.dumps(proof))
    for name, key in (("log.pub", corpus.LOG), ("provenance.pub", corpus.SIGNER)):
        (folder / "keys" / name).write_text(corpus.public(key).hex() + "\n")
    (folder / "keys" / "mark.key").write_text(corpus.MARK_KEY.hex() + "\n")
    (folder / "marks").write_text("".join(f"{payload}\n" for payload in corpus.ISSUED))
    return folder


def verify(folder, *arguments, file="sound.ogg"):
    return main(["verify", str(folder / file), *map(str, arguments)])


def test_a_clean_file_is_compliant(made, capsys):
    code = verify(made, "--profile", "in", "--keys", made / "keys", "--marks", made / "marks", "--json")
    report = json.loads(capsys.readouterr().out)
    assert (code, report["verdict"], report["agree"]) == (0, "compliant", True)
    states = {name: layer["state"] for name, layer in report["layers"].items()}
    assert states == {**dict.fromkeys(("file", "audible", "aigc", "c2pa", "watermark", "statement", "log"), "ok"),
                      "status": "unchecked"}  # fmt: skip


def test_the_report_can_be_read(made, capsys):
    assert verify(made, "--profile", "eu", "--keys", made / "keys", "--marks", made / "marks") == 1
    said = capsys.readouterr().out
    assert said.startswith("NONCOMPLIANT by profile eu\n")
    assert "fault: c2pa.time_stamp_missing" in said
    assert "The layers agree." in said


def test_unusable_roots_are_a_doubt_about_the_checker(made, tmp_path, capsys):
    (tmp_path / "c2pa-root.pem").write_text("no certificate")
    assert verify(made, "--profile", "in", "--keys", tmp_path) == 3
    assert "doubt: c2pa.roots" in capsys.readouterr().out


def test_without_keys_nothing_is_taken_on_trust(made, capsys):
    assert verify(made, "--profile", "in") == 3
    said = capsys.readouterr().out
    assert said.startswith("INCONCLUSIVE")
    for code in ("c2pa.trust_unchecked", "statement.key_unknown", "log.key_unknown"):
        assert f"doubt: {code}" in said


def test_a_file_without_any_label_is_not_found(made, capsys):
    from watermark.labels.encode import encode

    noise = np.random.default_rng(1).standard_normal(48_000).astype(np.float32) * 0.1
    (made / "plain.wav").write_bytes(encode(noise, 24_000, "wav"))
    assert verify(made, file="plain.wav") == 2
    assert capsys.readouterr().out.startswith("NOT FOUND")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--keys", "nowhere"], "no folder"),
        (["--proof", "broken"], "not JSON"),
        (["--proof", "list"], "no proof"),
        (["--marks", "broken"], "payloads"),
        (["--status", "nowhere"], "No such file"),
    ],
)
def test_what_cannot_be_used_is_named_and_inconclusive(made, capsys, arguments, word):
    (made / "broken").write_text("{")
    (made / "list").write_text("[]")
    assert verify(made, arguments[0], made / arguments[1]) == 3
    assert word in capsys.readouterr().out


def test_a_missing_file_is_inconclusive(made, capsys):
    assert verify(made, "--json", file="nothing.wav") == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "inconclusive"


def test_wrong_arguments_do_not_end_in_a_verdict(made):
    with pytest.raises(SystemExit) as ended:
        verify(made, "--profile", "mars")
    assert ended.value.code == 64
