"""Mounted recognisers. Their runtimes are no dependencies, so a stand-in with the runtime's interface is used here."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from consent.biometrics import liveness, recogniser, words
from consent.biometrics.evidence import Verdict
from consent.biometrics.mounted_recognisers import OTHER, RecogniserMissing, read_words
from consent.biometrics.words import ChallengeError

RATE = 16_000
ZH = tuple(f"{a}{b}" for a in "天地人你我他山水火土木金日月星云" for b in map(chr, range(0x5000, 0x5050)))


def folder(tmp_path: Path, language: str = "zh", entries: tuple[str, ...] = ZH, **about: object) -> Path:
    place = tmp_path / language
    place.mkdir()
    (place / "vocabulary.txt").write_text("\n".join(entries), encoding="utf-8")
    described = {"runtime": "sherpa-onnx", "kind": "paraformer", "files": {"paraformer": "m.onnx", "tokens": "t.txt"}}
    (place / "recogniser.json").write_text(json.dumps(described | about))
    for name in ("m.onnx", "t.txt"):
        (place / name).write_bytes(b"x")
    return tmp_path


class Sherpa(types.ModuleType):
    """sherpa_onnx's interface, hearing whatever `says` holds."""

    __version__ = "0"
    says = ""

    class OfflineRecognizer:
        @classmethod
        def from_paraformer(cls, paraformer: str, tokens: str, num_threads: int) -> "Sherpa.OfflineRecognizer":
            assert Path(paraformer).is_file()
            assert Path(tokens).is_file()
            return cls()

        def create_stream(self) -> types.SimpleNamespace:
            return types.SimpleNamespace(accept_waveform=lambda rate, samples: None, result=None)

        def decode_stream(self, stream: types.SimpleNamespace) -> None:
            stream.result = types.SimpleNamespace(text=Sherpa.says)


@pytest.fixture
def sherpa(monkeypatch) -> type[Sherpa]:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", Sherpa("sherpa_onnx"))
    return Sherpa


@pytest.fixture(autouse=True)
def _nothing_stays_mounted():
    yield
    recogniser.mount(None)


class Challenge:
    def __init__(self, words: list[str], language: str) -> None:
        self.words, self.language = words, language


def test_a_language_without_a_recogniser_is_not_offered_and_refused_by_name() -> None:
    assert recogniser.languages() == ("en",)
    found = liveness.check(np.zeros(RATE, np.float32), RATE, Challenge(list(ZH[:6]), "zh"))
    assert (found.verdict, found.reason) == (Verdict.REFUSE, "no_recogniser")
    assert found.details["offered"] == ["en"]
    with pytest.raises(RecogniserMissing, match="no_recogniser"):
        recogniser.recognise(np.zeros(RATE, np.float32), "zh")


def test_a_runtime_that_is_not_installed_is_named(tmp_path) -> None:
    with pytest.raises(RecogniserMissing, match="sherpa-onnx is not installed"):
        recogniser.mount(folder(tmp_path))
    with pytest.raises(RecogniserMissing, match="faster-whisper is not installed"):
        recogniser.mount(folder(tmp_path / "zh", runtime="faster-whisper"))
    assert recogniser.languages() == ("en",)


def test_a_mounted_language_is_drawn_heard_and_judged_like_english(tmp_path, sherpa, say, sentences) -> None:
    assert recogniser.mount(folder(tmp_path)) == ("en", "zh")
    drawn = words.draw(population=recogniser.vocabulary("zh"))
    assert set(drawn) <= set(ZH)
    wave = say(sentences[0])
    sherpa.says = "，".join(drawn)
    assert liveness.check(wave, RATE, Challenge(drawn, "zh")).verdict is Verdict.PASS
    sherpa.says = "".join([*drawn[:5], next(word for word in ZH if word not in drawn)])
    assert liveness.check(wave, RATE, Challenge(drawn, "zh")).verdict is not Verdict.PASS
    sherpa.says = ""
    assert liveness.check(wave, RATE, Challenge(drawn, "zh")).reason == "wrong_words"
    with pytest.raises(ChallengeError):
        liveness.check(wave, RATE, Challenge(["umbrella", *drawn[:5]], "zh"))


@pytest.mark.parametrize(
    ("language", "entries", "about"),
    [("zh", ZH[:1000], {}), ("../zh", ZH, {}), ("zh", ZH, {"runtime": "shell"}), ("zh", ZH, {"kind": "streaming"}),
     ("zh", ZH, {"files": {"paraformer": "../../m.onnx", "tokens": "t.txt"}}), ("zh", (*ZH, ZH[0] + "!"), {}),
     ("en", ZH, {})],
    ids=["few words", "no language", "unknown runtime", "unknown kind", "file outside", "same letters", "built in"],
)  # fmt: skip
def test_a_folder_that_is_not_what_it_says_is_not_mounted(tmp_path, sherpa, language, entries, about) -> None:
    root = tmp_path / "root"
    root.mkdir()
    made = folder(root, language.replace("../", "x-"), entries, **about)
    with pytest.raises(RecogniserMissing):
        recogniser.mount(made)
    assert recogniser.languages() == ("en",)


def test_a_transcript_is_read_as_vocabulary_words_whatever_its_spaces() -> None:
    vocabulary = ("sun", "sunflower", "boat")
    assert read_words("Sun flower, boat.", vocabulary) == ["sunflower", "boat"]
    assert read_words("the sun and the boat", vocabulary) == [OTHER, "sun", OTHER, "boat"]
    assert read_words("", vocabulary) == []
