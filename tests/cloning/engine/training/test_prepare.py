import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.errors import TextError, TrainingRefused
from cloning.engine.text import to_phones
from cloning.engine.training.base import Base
from cloning.engine.training.prepare import Material, Recording, prepare, trim


def prepared(recordings: list[Recording], base: Base, language: str = "en") -> Material:
    return prepare(
        recordings, language=language, config=base.config, encoder=base.build_content(), codebook=base.codebook
    )


def refusal(recordings: list[Recording], base: Base) -> str:
    with pytest.raises(TrainingRefused) as caught:
        prepared(recordings, base)
    return caught.value.code


def test_sound_codes_and_phones_belong_together(recordings: list[Recording], base: Base) -> None:
    material = prepared(recordings, base)
    assert len(material.items) == 5
    assert material.speech_seconds == pytest.approx(12, abs=3)
    for item, recording in zip(material.items, recordings, strict=True):
        assert len(item.wave) == len(item.codes) * 640
        assert int(item.codes.min()) >= 0
        assert int(item.codes.max()) < 64
        assert item.phones.tolist() == to_phones(str(recording.transcript), "en").ids
        assert float(item.wave.abs().max()) <= 1.0


def test_rate_channels_and_number_format_do_not_matter(recordings: list[Recording], base: Base) -> None:
    import soxr

    plain = prepared(recordings, base)
    other = [
        Recording(
            (np.stack([soxr.resample(r.wave, 16000, 48000)] * 2, axis=1) * 32767).astype(np.int16), 48000, r.transcript
        )
        for r in recordings
    ]
    again = prepared(other, base)
    assert again.speech_seconds == pytest.approx(plain.speech_seconds, rel=0.02)
    for a, b in zip(plain.items, again.items, strict=True):
        n = min(len(a.wave), len(b.wave))
        assert torch.corrcoef(torch.stack([a.wave[:n], b.wave[:n]]))[0, 1] > 0.99


def test_a_long_recording_teaches_sound_but_not_reading(
    minute: Recording, recordings: list[Recording], base: Base
) -> None:
    material = prepared([minute, *recordings], base)
    wordless = [item for item in material.items if not item.has_text]
    assert len(material.readable) == 5
    assert len(wordless) >= 4
    assert all(len(item.wave) <= 15 * 16000 for item in wordless)
    assert refusal([minute], base) == "no_transcript"


@pytest.mark.parametrize(
    ("wave", "text", "code"),
    [
        (np.zeros(16000 * 30, np.float32), None, "silence"),
        (np.full(16000 * 5, 1e-5, np.float32), "hello there", "silence"),
        (np.full(16000, np.nan, np.float32), "hello", "bad_audio"),
        (np.zeros(16000 * 1900, np.int16), None, "too_much"),
        (np.random.default_rng(0).standard_normal(16000 * 3).astype(np.float32), "he\0llo", "bad_transcript"),
    ],
)
def test_unusable_recordings_are_refused_by_name(wave: np.ndarray, text: str | None, code: str, base: Base) -> None:
    assert refusal([Recording(wave, 16000, text)], base) == code


def test_nothing_and_too_little_are_refused(recordings: list[Recording], base: Base) -> None:
    assert refusal([], base) == "no_recordings"
    assert refusal(recordings[:2], base) == "too_little_speech"


def test_a_transcript_that_cannot_be_true_is_left_out(recordings: list[Recording], base: Base) -> None:
    wrong = dataclasses.replace(recordings[0], transcript="word " * 200)
    material = prepared([wrong, *recordings], base)
    assert len(material.items) == 5
    assert material.dropped_seconds > 2
    assert "transcripts_left_out" in material.notes


def test_an_unsupported_language_is_refused_as_text(recordings: list[Recording], base: Base) -> None:
    with pytest.raises(TextError) as caught:
        prepared(recordings, base, "fr")
    assert caught.value.code == "unsupported_language"


def test_silence_at_the_ends_is_trimmed() -> None:
    tone = (np.sin(np.arange(16000)) * 0.3).astype(np.float32)
    wave = np.concatenate([np.zeros(32000, np.float32), tone, np.zeros(32000, np.float32)])
    trimmed, seconds = trim(wave, 16000)
    assert len(trimmed) == pytest.approx(16000 * 1.4, abs=700)
    assert seconds == pytest.approx(1.0, abs=0.05)


def test_one_second_is_no_set_and_many_seconds_are(recordings: list[Recording], base: Base) -> None:
    second = dataclasses.replace(recordings[0], wave=recordings[0].wave[3200:19200], transcript="The quick brown")
    assert refusal([second], base) == "too_little_speech"
    material = prepared([second] * 14, base)
    assert len(material.items) == 14
    assert all(len(item.codes) >= 17 for item in material.items)
    assert refusal([dataclasses.replace(second, wave=second.wave[:8000])] * 40, base) == "too_little_speech"


def test_recordings_that_name_several_speakers_are_told(recordings: list[Recording], base: Base) -> None:
    named = [dataclasses.replace(r, speaker="Ann", name=f"{i}.wav") for i, r in enumerate(recordings)]
    assert "several_speakers" not in prepared(named, base).notes
    mixed = prepared([dataclasses.replace(named[0], speaker="Bo"), *named[1:]], base)
    assert "several_speakers" in mixed.notes
    assert [item.speaker for item in mixed.items] == ["Bo"] + ["Ann"] * 4
    assert [item.name for item in mixed.items] == [f"{i}.wav" for i in range(5)]


def test_nothing_is_written(recordings: list[Recording], base: Base, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    prepared(recordings, base)
    assert list(tmp_path.iterdir()) == []
