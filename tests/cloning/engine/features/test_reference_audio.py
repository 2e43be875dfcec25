import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from cloning.engine.config import official
from cloning.engine.features.reference_audio import ReferenceRefused, read_reference, sinc_resample, to_16k
from cloning.engine.features.spectrogram import linear


def tone(seconds: float, rate: int, level: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (np.sin(2 * np.pi * 440 * time) * level * (1 + np.sin(2 * np.pi * 3 * time)) / 2).astype(np.float32)


def file(wave: np.ndarray, rate: int, *, format: str = "WAV", subtype: str | None = "FLOAT") -> bytes:  # noqa: A002
    out = io.BytesIO()
    soundfile.write(out, wave, rate, format=format, subtype=subtype)
    return out.getvalue()


def refused(source: bytes | Path, **options: object) -> str:
    with pytest.raises(ReferenceRefused) as refusal:
        read_reference(source, **options)  # type: ignore[arg-type]
    return refusal.value.code


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_every_usual_rate_gives_the_same_sound(rate: int) -> None:
    got = read_reference(file(tone(3.2, rate), rate))
    assert got.wave.shape == (3.2 * 32_000,)
    assert got.spec.shape == (1, 1025, len(got.wave) // 640)
    assert got.content_wave.shape == (3.2 * 16_000 + 4_800,)
    assert got.speaker_wave.shape == (3.2 * 16_000,)
    assert not got.content_wave[-4_800:].any()
    for wave, at in ((got.wave, 32_000), (got.speaker_wave, 16_000), (got.content_wave[:51_200], 16_000)):
        assert np.abs(wave.numpy() - tone(3.2, at))[200:-200].max() < 5e-3
    assert got.notes == (("narrow_band",) if rate < 16_000 else ())


def test_numbers_are_those_of_the_official_path() -> None:
    wave = tone(3.2, 44_100) + np.random.default_rng(1).standard_normal(141_120).astype(np.float32) * 0.01
    got = read_reference(file(wave, 44_100), compat=True)
    expected = torchaudio.functional.resample(torch.from_numpy(wave)[None], 44_100, 32_000)
    assert torch.equal(got.wave[None], expected)
    assert torch.equal(got.spec, linear(expected, official("v2").audio))
    assert torch.equal(got.speaker_wave[None], torchaudio.functional.resample(expected, 32_000, 16_000))
    assert len(got.content_wave) == 51_200 + 9_600


@pytest.mark.parametrize(("format", "subtype"), [("WAV", "PCM_16"), ("FLAC", None), ("OGG", "VORBIS"), ("MP3", None)])
def test_usual_formats_are_read(format: str, subtype: str | None) -> None:  # noqa: A002
    got = read_reference(file(tone(4, 32_000), 32_000, format=format, subtype=subtype))
    assert got.seconds == pytest.approx(4, abs=0.1)
    assert float(got.wave.abs().max()) == pytest.approx(0.3, abs=0.02)


def test_a_path_and_its_bytes_are_the_same_and_the_digest_follows_the_content(tmp_path: Path) -> None:
    data = file(tone(3.5, 32_000), 32_000)
    (tmp_path / "a.wav").write_bytes(data)
    first, second = read_reference(data), read_reference(tmp_path / "a.wav")
    assert torch.equal(first.spec, second.spec)
    assert first.digest == second.digest
    others = [
        read_reference(data, compat=True),
        read_reference(data, role="style"),
        read_reference(file(tone(3.5, 32_000, 0.2), 32_000)),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 4


def test_channels_are_averaged() -> None:
    left = tone(3.5, 32_000)
    got = read_reference(file(np.stack([left, np.zeros_like(left), left], axis=1), 32_000))
    assert np.allclose(got.wave.numpy(), left * 2 / 3, atol=1e-6)
    assert got.notes == ("mixed_down",)


@pytest.mark.parametrize(("level", "compat", "peak"), [(1.6, False, 1), (1.6, True, 1), (5, False, 1), (5, True, 2.5)])
def test_a_level_above_full_scale_is_lowered(level: float, compat: bool, peak: float) -> None:
    got = read_reference(file(tone(3.5, 32_000, level), 32_000), compat=compat)
    assert float(got.wave.abs().max()) == pytest.approx(peak, rel=1e-2)
    assert float(got.content_wave.abs().max()) == pytest.approx(level, rel=2e-2)
    assert "too_loud" in got.notes


def test_clipping_is_noted_and_not_refused() -> None:
    assert read_reference(file(np.clip(tone(3.5, 32_000, 3), -1, 1), 32_000, subtype="PCM_16")).notes == ("clipped",)


@pytest.mark.parametrize(
    ("seconds", "role", "code"),
    [
        (0, "prompt", "too_short"),
        (2.99, "prompt", "too_short"),
        (10.01, "prompt", "too_long"),
        (30, "prompt", "too_long"),
        (0.4, "style", "too_short"),
        (60.5, "style", "too_long"),
    ],
)
def test_length_is_bounded(seconds: float, role: str, code: str) -> None:
    assert refused(file(tone(seconds, 8_000), 8_000), role=role) == code


@pytest.mark.parametrize(("seconds", "role"), [(3, "prompt"), (10, "prompt"), (0.5, "style"), (59.9, "style")])
def test_the_bounds_themselves_are_accepted(seconds: float, role: str) -> None:
    got = read_reference(file(tone(seconds, 8_000), 8_000), role=role)  # type: ignore[arg-type]
    assert got.seconds == pytest.approx(seconds)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused(value: float) -> None:
    wave = tone(3.5, 16_000)
    wave[7] = value
    assert refused(file(wave, 16_000)) == "not_finite"
    assert refused(file(np.stack([wave, -wave], axis=1), 16_000)) == "not_finite"


def test_silence_and_absurd_levels_are_refused() -> None:
    assert refused(file(np.full(60_000, 5e-4, np.float32), 16_000)) == "silent"
    assert refused(file(tone(3.5, 16_000, 1e20), 16_000)) == "bad_level"
    assert refused(file(np.stack([tone(3.5, 16_000, 3e38)] * 4, axis=1), 16_000)) == "bad_level"


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\0" * 1000, b"RIFF\xff\xff\xff\xffWAVEfmt " + b"\xff" * 200])
def test_what_is_not_sound_is_refused(data: bytes) -> None:
    assert refused(data) == "not_sound"


def test_odd_files_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere.wav") == "missing_file"
    assert refused(tmp_path) == "missing_file"
    assert refused(file(np.zeros((30_000, 9), np.float32), 8_000)) == "too_many_channels"
    assert refused(file(tone(0.1, 7_000), 7_000)) == "bad_rate"


def test_a_large_file_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    with path.open("wb") as handle:
        handle.truncate(64 * 2**20 + 1)
    assert refused(path) == "too_large"


def test_a_rate_without_common_divisor_needs_no_giant_table() -> None:
    wave = torch.from_numpy(tone(3, 44_101))[None]
    got = sinc_resample(wave, 44_101, 32_000)
    assert abs(got.shape[1] - 96_000) <= 1
    assert np.abs(got[0, :96_000].numpy() - tone(3, 32_000))[200:-200].max() < 5e-3


@pytest.mark.parametrize("samples", [48_001, 48_002])
def test_length_after_resampling_is_rounded_up(samples: int) -> None:
    assert len(to_16k(np.ones(samples, np.float32), 48_000)) == 16_001
