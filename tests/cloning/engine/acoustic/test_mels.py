"""Prompts, windows that go on, windows that overlap, and mels made while codes still come."""

from __future__ import annotations

import pytest
import torch

from cloning.engine.acoustic import mels
from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.lora import beside
from cloning.engine.acoustic.mels import (
    OVERLAP,
    FlowSampling,
    MelPrompt,
    MelStream,
    Spoken,
    Window,
    chained,
    chained_together,
    mel_prompt,
    overlapped,
    sampled,
)
from cloning.engine.errors import EngineError
from tests.cloning.engine.acoustic.tiny_diffusion import adapter, model

SAMPLING = FlowSampling(steps=2)


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mels, "WINDOWS", {"v3": Window(20, 60), "v4": Window(20, 60)})


@pytest.fixture(scope="module")
def voice() -> DiffusionModel:
    return model()


def prompt(frames: int = 20) -> MelPrompt:
    draw = torch.Generator().manual_seed(4)
    return MelPrompt(torch.randn(1, 16, frames, generator=draw), torch.randn(1, 100, frames, generator=draw))


def features(frames: int) -> torch.Tensor:
    return torch.randn(1, 16, frames, generator=torch.Generator().manual_seed(5))


def randomness() -> torch.Generator:
    return torch.Generator().manual_seed(6)


def reference(voice: DiffusionModel, codes: int) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(7)
    said = torch.randint(0, 64, (1, codes), generator=draw)
    phones = torch.randint(0, 732, (1, 9), generator=draw)
    return said, phones, voice.reference_style([torch.rand(1, 1025, 30, generator=draw)])


@pytest.mark.parametrize(("version", "codes", "frames"), [("v4", 9, 36), ("v3", 9, 33)])
def test_features_have_the_frames_of_their_codes(version: str, codes: int, frames: int) -> None:
    voice = model(version)
    said, phones, style = reference(voice, codes)
    assert voice.features(said, phones, style).shape == (1, 16, frames)
    assert voice.frames(codes) == frames
    for speed in (0.7, 1.3):
        assert voice.features(said, phones, style, speed).shape[2] == voice.frames(codes, speed)


def test_a_prompt_is_the_end_of_what_both_have(voice: DiffusionModel) -> None:
    said, phones, style = reference(voice, 9)
    whole = voice.features(said, phones, style)
    mel = torch.randn(1, 100, 31)
    got = mel_prompt(voice, said, phones, style, mel)
    assert torch.equal(got.features, whole[..., 11:31])
    assert torch.equal(got.mel, mel[..., 11:])


def test_a_reference_shorter_than_the_window_is_refused_by_name(voice: DiffusionModel) -> None:
    said, phones, style = reference(voice, 9)
    mel = torch.randn(1, 100, 19)
    with pytest.raises(EngineError) as refusal:
        mel_prompt(voice, said, phones, style, mel)
    assert refusal.value.code == "reference_too_short"
    assert mel_prompt(voice, said, phones, style, mel, compat=True).frames == 19
    with pytest.raises(EngineError, match="reference_too_short"):
        mel_prompt(voice, said[:, :4], phones, style, torch.randn(1, 100, 50))  # its codes are too few


def test_long_speech_goes_on_window_by_window(voice: DiffusionModel) -> None:
    said = features(95)
    pieces = list(chained(voice, prompt(), said, SAMPLING, randomness()))
    assert [piece.shape[2] for piece in pieces] == [40, 40, 15]
    draw = randomness()
    (first,) = sampled([Spoken(voice, prompt(), said[..., :40], draw)], SAMPLING)
    behind = MelPrompt(said[..., 20:40], first[..., -20:])
    (second,) = sampled([Spoken(voice, behind, said[..., 40:80], draw)], SAMPLING)
    assert torch.equal(pieces[0], first)
    assert torch.equal(pieces[1], second)
    changed = list(
        chained(voice, prompt(), torch.cat((said[..., :40] + 1, said[..., 40:]), dim=2), SAMPLING, randomness())
    )
    assert (changed[1] - pieces[1]).abs().max() > 1e-3


@pytest.mark.parametrize("frames", [5, 28, 29, 56, 57, 84])
def test_overlapping_windows_cover_everything_once(voice: DiffusionModel, frames: int) -> None:
    windows, spare = overlapped(voice, prompt(), features(frames), SAMPLING, randomness())
    width = 40
    assert windows.shape[1:] == (100, width)
    assert OVERLAP + frames + spare == len(windows) * (width - OVERLAP) + OVERLAP
    assert 0 <= spare < width


def test_rows_are_as_alone_whoever_else_speaks(voice: DiffusionModel) -> None:
    voices = [voice, beside(voice, adapter(voice, 1)), beside(voice, adapter(voice, 2))]

    def row(index: int) -> Spoken:
        draw = torch.Generator().manual_seed(index)
        return Spoken(voices[index], prompt(20 - 3 * index), features(12 + 7 * index), draw)

    for index, mel in enumerate(sampled([row(index) for index in range(3)], SAMPLING)):
        (alone,) = sampled([row(index)], SAMPLING)
        assert mel.shape[2] == 12 + 7 * index
        torch.testing.assert_close(mel, alone, atol=2e-5, rtol=1e-4)


def test_long_rows_of_different_voices_go_on_together_as_each_alone(voice: DiffusionModel) -> None:
    voices = [voice, beside(voice, adapter(voice, 1)), beside(voice, adapter(voice, 2))]
    rows = [
        Spoken(one, prompt(), features(frames), torch.Generator().manual_seed(frames))
        for one, frames in zip(voices, (95, 30, 41), strict=True)
    ]
    for most in (2, 8):
        for row in rows:
            assert row.generator is not None
            row.generator.manual_seed(row.features.shape[2])
        made = chained_together(rows, SAMPLING, most)
        for row, mel in zip(rows, made, strict=True):
            again = torch.Generator().manual_seed(row.features.shape[2])
            alone = torch.cat(list(chained(row.model, row.prompt, row.features, SAMPLING, again)), dim=2)
            torch.testing.assert_close(mel, alone, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("speed", [1.0, 1.25])
def test_a_stream_says_every_frame_once(voice: DiffusionModel, speed: float) -> None:
    said, phones, style = reference(voice, 23)
    stream = MelStream(voice, prompt(), phones, style, SAMPLING, randomness(), hold=2, speed=speed)
    got = [stream.feed(part, final=False) for part in (said[:, :2], said[:, 2:10], said[:, 10:18])]
    assert got[0].shape[2] == 0  # both codes wait for what follows
    assert got[1].shape[2] == voice.frames(8, speed)
    got.append(stream.feed(said[:, 18:], final=True))
    assert sum(part.shape[2] for part in got) == voice.frames(23, speed)
    assert stream.feed(said[:, :0], final=True).shape[2] == 0
