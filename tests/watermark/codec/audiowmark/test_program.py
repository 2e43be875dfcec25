"""The way the executable is called. It is not on this machine: a small program of our own stands on PATH, which checks
what it is given and answers in the same form. That the real one agrees is not shown here."""

import sys

import numpy as np
import pytest

from watermark.codec.audiowmark import Key, Program, ProgramFailed, ProgramMissing, program

RATE = 32_000
WAVE = 0.3 * np.sin(2 * np.pi * 900 * np.arange(RATE) / RATE)
KEY = Key(bytes(range(16)), 'a "name"')
MESSAGE = bytes(range(16))
HEAD = f"#!{sys.executable} -IS\nimport sys, struct, time\nsay = sys.stdout.buffer.write\n"


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    def put(body):
        path = tmp_path / "audiowmark"
        path.write_text(HEAD + body)
        path.chmod(0o700)
        monkeypatch.setenv("PATH", str(tmp_path))
        return Program.find()

    return put


def test_there_is_no_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing):
        Program.find()


ADD = """
verb, k, key, s, strength, i, o, bits = sys.argv[1:]
assert (verb, k, s, strength, i, o) == ("add", "--key", "--strength", "12", "-", "-"), sys.argv
assert bits == bytes(range(16)).hex()
text = open(key).read()
assert "key " + bytes(range(16)).hex() in text and 'name "a \\\\"name\\\\""' in text, text
wav = sys.stdin.buffer.read()
at = wav.index(b"data") + 8
samples = struct.unpack(f"<{(len(wav) - at) // 2}h", wav[at:])
say(wav[:at] + struct.pack(f"<{len(samples)}h", *(value // 2 for value in samples)))
"""


def test_sound_key_and_message_reach_the_program_and_its_sound_comes_back(on_path):
    marked = on_path(ADD).embed(WAVE, RATE, MESSAGE, KEY, strength=12)
    assert marked.shape == WAVE.shape
    assert np.abs(marked - WAVE / 2).max() < 1 / 16_000
    stereo = on_path(ADD).embed(np.stack([WAVE, WAVE]), RATE, MESSAGE, KEY, strength=12)
    assert stereo.shape == (2, RATE)


GET = """
assert sys.argv[1:3] == ["get", "--key"] and sys.argv[4:] == ["--json", "-", "-"], sys.argv
assert sys.stdin.buffer.read(4) == b"RIFF"
say(b'{"length": "0:01", "matches": [{"key": "", "pos": "1:05", "bits": "000102030405060708090a0b0c0d0e0f",'
    b' "quality": 1.5, "error": 0.03, "rating": 1.5, "type": "CLIP-A-SPEED", "speed": 1.01}]}')
"""


def test_its_report_is_read(on_path):
    (found,) = on_path(GET).read(WAVE, RATE, KEY)
    assert (found.message, found.start_s, found.kind) == (MESSAGE, 65.0, "CLIP-A-SPEED")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('no such key')", "ended with 1: no such key"),
        ("say(b'')", "no sound"),
        ("say(b'RIFF' + bytes(100))", "no sound"),
        ("say(bytes(10_000_000))", "wrote more than"),
        ("wav = sys.stdin.buffer.read(); say(wav[:-2000])", "samples for"),
    ],
)
def test_an_answer_that_cannot_be_one(on_path, body, said):
    with pytest.raises(ProgramFailed, match=said):
        on_path(body).embed(WAVE, RATE, MESSAGE, KEY)


def test_a_program_that_hangs_is_stopped(on_path, monkeypatch):
    monkeypatch.setattr(program, "BASE_SECONDS", 0.3)
    monkeypatch.setattr(program, "SECONDS_PER_SECOND", 0.0)
    with pytest.raises(ProgramFailed, match="was stopped"):
        on_path("time.sleep(60)").embed(WAVE, RATE, MESSAGE, KEY)


def test_a_report_that_is_none_is_a_failure(on_path):
    with pytest.raises(ProgramFailed, match="not a report"):
        on_path("say(b'hello')").read(WAVE, RATE, KEY)
