"""``vouch enrol`` from nothing, at a terminal against the running system: a key, the words read aloud as they come,
training speech, consent, training, a first sentence, and the way back from it."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest

from demo import recordings
from demo.acts import UNHURRIED, batched_sentences
from demo.story import MISREAD, READINGS
from vouch.client.commands import PIECE, PIECE_SECONDS

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]
VOICE = "awb"
SPEECH_SECONDS = 36.0
"""A consent asks for 30 s of it."""
SENTENCE = "The weather is lovely this morning, and the train to the coast leaves at nine."


class Terminal:
    """A shell of somebody who has never been here, with ``vouch`` installed."""

    def __init__(self, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
        self.home, self.env = home, {**kept, "XDG_CONFIG_HOME": str(home), "PYTHONUNBUFFERED": "1"}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "vouch.cli", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=self.env, cwd=self.home)

    def run(self, *arguments: str, typed: str = "") -> str:
        """What it said. The command must succeed."""
        process = self.start(*arguments)
        said, troubles = process.communicate(typed.encode(), timeout=300)
        assert process.returncode == 0, troubles.decode()
        return said.decode()

    def enrol(self, name: str, speech: Path, version: str) -> tuple[int, str, str]:
        """Reads the words aloud once they are shown: exit status, what was said, what was complained of."""
        process = self.start("enrol", name, str(speech), "--pcm", "-", "--agree", version)
        shown = b""
        while not shown.strip() or shown.startswith(b"Read"):
            shown = process.stdout.readline()
            assert shown, process.communicate()[1].decode()
        sound, rate = recordings.say(", ".join(shown.decode().split()) + ".", voice=VOICE, stretch=UNHURRIED)
        assert rate * 2 * PIECE_SECONDS == PIECE
        microphone(process, recordings.pcm16(sound))
        said, troubles = process.communicate(timeout=900)
        return process.returncode, said.decode(), troubles.decode()


def microphone(process: subprocess.Popen[bytes], pcm: bytes) -> None:
    """What it hears comes as it is spoken."""
    began = time.monotonic()
    for number, start in enumerate(range(0, len(pcm), PIECE), start=1):
        time.sleep(max(0.0, began + number * PIECE_SECONDS - time.monotonic()))
        process.stdin.write(pcm[start : start + PIECE])
        process.stdin.flush()


def read_the_script(address: str, key: str, folder: Path) -> None:
    """Training speech as ``enrol`` wants it: NAME.wav beside NAME.txt."""
    folder.mkdir()
    total = 0.0
    mine = {"Authorization": f"Bearer {key}"}
    sentences = httpx.get(f"{address}/api/v1/scripts/en", headers=mine).json()["sentences"]
    for number, group in enumerate(batched_sentences(sentences)):
        if total >= SPEECH_SECONDS:
            return
        text = " ".join(group)
        sound, rate = recordings.say(text, voice=VOICE, seed=number)
        (folder / f"{number:02}.wav").write_bytes(recordings.wav(sound, rate))
        (folder / f"{number:02}.txt").write_text(text)
        total += len(sound) / rate
    raise AssertionError("the script is too short")


@pytest.mark.timeout(1_200)
def test_from_a_key_to_a_sentence_in_ones_own_voice(live, tmp_path, record_property):
    email = f"alan-{uuid.uuid4().hex[:8]}@e2e.example"
    person = {"email": email, "display_name": "Alan", "password": "correct horse 42"}
    key = httpx.post(f"{live.address}/api/v1/people", json=person).json()["key"]
    terminal, speech = Terminal(tmp_path), tmp_path / "speech"
    read_the_script(live.address, key, speech)
    began = time.monotonic()
    assert "Signed in as Alan" in terminal.run("login", live.address, typed=f"{key}\n")

    for _ in range(READINGS):
        status, said, troubles = terminal.enrol("Alan at home", speech, "en-1")
        if not any(f"({reason})" in troubles for reason in MISREAD):
            break
    assert status == 0, said + troubles
    record_property("seconds to the voice", time.monotonic() - began)
    assert "Voice Alan at home (" in said
    assert said.rstrip().endswith("is ready.")

    out = tmp_path / "first.wav"
    spoken = terminal.run("speak", "Alan at home", SENTENCE, "--out", str(out), "--seed", "7")
    record_property("seconds to the first sentence", time.monotonic() - began)
    assert "made by a machine" in spoken
    found = json.loads(terminal.run("trace", str(out), "--json"))
    assert found["verdict"] == "ours"
    hit = found["hits"][0]
    assert spoken.rstrip().endswith(f"Recording {hit['output']}.")
    assert (hit["state"], hit["consent_state"]) == ("live", "active")
