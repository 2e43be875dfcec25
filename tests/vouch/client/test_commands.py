"""``vouch login / enrol / speak / trace`` at a terminal."""

import io
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.handlers.wsgi import WSGIHandler

from cloning.models import Output, Voice
from consent.models import Challenge
from tests.cloning import factories as make
from vouch.cli import main
from vouch.client import Vouch, commands

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def client(address: str, key: str | None = None) -> Vouch:
        return Vouch(address, key, transport=httpx.WSGITransport(WSGIHandler()))

    monkeypatch.setattr(commands, "Vouch", client)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("VOUCH_ADDRESS", raising=False)
    monkeypatch.delenv("VOUCH_API_KEY", raising=False)


@pytest.fixture
def voice(person: Any) -> Voice:
    owner = person()
    return make.voice(owner, make.consent(owner))


@pytest.fixture
def signed_in(api: Any, voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    key = api(voice.owner).headers["Authorization"].removeprefix("Bearer ")
    monkeypatch.setattr("sys.stdin", io.StringIO(key + "\n"))
    assert main(["login", "http://testserver"]) == 0


def test_login_keeps_a_key_that_works_where_nobody_else_reads_it(signed_in: None, capsys: Any) -> None:
    place = commands.credentials_file()
    assert place.stat().st_mode & 0o777 == 0o600
    assert json.loads(place.read_text())["address"] == "http://testserver"
    place.chmod(0o644)
    assert main(["speak", "Sam", "Hello.", "--out", "x.mp3"]) == 2
    assert "can be read by others" in capsys.readouterr().err


def test_a_wrong_key_is_not_kept(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("vk_wrong_key\n"))
    assert main(["login", "http://testserver"]) == 2
    assert "not_signed_in" in capsys.readouterr().err
    assert not commands.credentials_file().exists()


def test_nothing_is_guessed_without_an_address(capsys: Any) -> None:
    assert main(["speak", "Sam", "Hello.", "--out", "x.mp3"]) == 2
    assert "vouch login" in capsys.readouterr().err


def test_speaking_and_tracing(signed_in: None, voice: Voice, worker: None, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "said.wav"
    assert main(["speak", voice.name, make.TEXT, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert str(Output.objects.get().id) in said
    assert "made by a machine" in said
    assert main(["trace", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "ours"


def test_an_unknown_ending_is_refused_by_the_platform(signed_in: None, voice: Voice, capsys: Any) -> None:
    assert main(["speak", voice.name, "Hello.", "--out", "said.mod"]) == 2
    assert "invalid_fields" in capsys.readouterr().err


def test_enrolling_says_what_is_missing_before_anybody_reads(signed_in: None, tmp_path: Path, capsys: Any) -> None:
    opened = Challenge.objects.count()
    assert main(["enrol", "Sam", str(tmp_path / "nothing")]) == 2
    (tmp_path / "one.wav").write_bytes(b"RIFF")
    assert main(["enrol", "Sam", str(tmp_path)]) == 2
    (tmp_path / "one.txt").write_text("One.")
    assert main(["enrol", "Sam", str(tmp_path)]) == 2
    assert main(["enrol", "Sam", str(tmp_path), "--agree", "en-0"]) == 2
    said = capsys.readouterr()
    assert "holds no .wav files" in said.err
    assert "one.txt is missing" in said.err
    assert "give its version with --agree: " in said.err
    assert "There is no consent text en-0" in said.err
    assert "Read aloud" not in said.out
    assert Challenge.objects.count() == opened


def test_a_microphone_that_never_ends_is_listened_to_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "ANSWER_SECONDS", 0.2)
    with open("/dev/zero", "rb") as endless:
        began = time.monotonic()
        assert sum(map(len, commands._listened(endless))) > 0
    assert time.monotonic() - began < 5


def test_a_recorded_answer_is_sent_at_the_pace_of_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("vouch.client.commands.time.sleep", slept.append)
    (tmp_path / "answer.pcm").write_bytes(bytes(40_001))
    pieces = list(commands._answer(str(tmp_path / "answer.pcm")))
    assert [len(piece) for piece in pieces] == [16_000, 16_000, 8_000]
    assert [round(pause, 1) for pause in slept] == [0.5, 1.0, 1.5]
