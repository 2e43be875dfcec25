"""How v3 and v4 speak: the reference's mel is the prompt that the flow matching continues, a stretch at a time.

The transformer sees a window of `WINDOWS` frames: first the prompt, the reference's last five seconds at most, then
what is to be said. Longer speech goes on in the next window, whose prompt is the end of the one before (`chained`,
GPT-SoVITS `using_vocoder_synthesis`), or windows overlap and their waves are joined (`overlapped`,
`using_vocoder_synthesis_batched_infer`; MIT, commit 48b1a01). Mels here are in the unit range. Shapes: C text channels,
M mel bands, F frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.acoustic.cfm import Integrator
from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.lora import together
from cloning.engine.errors import EngineError


@dataclass(frozen=True, slots=True)
class Window:
    """Frames that the transformer sees at once, and most of them that are prompt."""

    prompt: int
    whole: int


#: Upstream's. Both prompts are five seconds.
WINDOWS = {"v3": Window(468, 934), "v4": Window(500, 1000)}
#: Rows that are sampled at once: more gain nothing on a CPU and need memory.
ROWS = 8
#: Frames that `overlapped` windows share.
OVERLAP = 12


@dataclass(frozen=True, slots=True)
class FlowSampling:
    """How a mel is sampled; see `cfm.FlowMatching.sample`."""

    steps: int = 32
    integrator: Integrator = "euler"
    temperature: float = 1.0
    guidance: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class MelPrompt:
    """What the flow matching continues: features 1 x C x P and mel 1 x M x P of the same speech."""

    features: Tensor
    mel: Tensor

    @property
    def frames(self) -> int:
        return self.mel.shape[2]

    def then(self, features: Tensor, mel: Tensor, most: int | None = None) -> MelPrompt:
        """The last `most` frames (default: as many as this prompt has) once `features` and `mel` were said behind
        it."""
        most = self.frames if most is None else most
        return MelPrompt(
            torch.cat((self.features, features), dim=2)[..., -most:], torch.cat((self.mel, mel), dim=2)[..., -most:]
        )


@torch.inference_mode()
def mel_prompt(
    model: DiffusionModel, codes: Tensor, phones: Tensor, style: Tensor, mel: Tensor, *, compat: bool = False
) -> MelPrompt:
    """Codes 1 x T, phones 1 x X and mel 1 x M x F of the reference, its style -> its last frames.

    Raises EngineError `reference_too_short` for a reference shorter than the prompt window; `compat`: upstream takes
    what there is.
    """
    features = model.features(codes, phones, style)
    shared = min(features.shape[2], mel.shape[2])
    window = WINDOWS[model.config.version].prompt
    if shared < window and not compat:
        seconds = window / model.config.mel.frame_rate
        raise EngineError(
            "reference_too_short",
            f"{model.config.version} continues the last {seconds:.0f} s of a reference; this one is shorter",
        )
    return MelPrompt(features[..., :shared][..., -window:], mel[..., :shared][..., -window:])


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """One row of a batch: whose voice, behind which prompt, features 1 x C x F to say, and the row's own randomness (or
    `noise` 1 x M x (P + F))."""

    model: DiffusionModel
    prompt: MelPrompt
    features: Tensor
    generator: torch.Generator | None = None
    noise: Tensor | None = None


@torch.inference_mode()
def sampled(rows: Sequence[Spoken], sampling: FlowSampling) -> list[Tensor]:
    """Rows of voices that share one transformer (`lora.beside`), in one batch -> a mel 1 x M x F for each, as it would
    be alone. Raises EngineError `bad_steps`, ValueError for voices of different bases."""
    first = rows[0].model
    texts = [torch.cat((row.prompt.features, row.features), dim=2) for row in rows]
    lengths = torch.tensor([text.shape[2] for text in texts])
    held = torch.tensor([row.prompt.frames for row in rows])
    frames, longest = int(lengths.max()), int(held.max())
    noises = [_noise(row, text.shape[2], first.config.dit.mel) for row, text in zip(rows, texts, strict=True)]
    mels = first.cfm.sample(
        _stacked(texts, frames),
        lengths,
        _stacked([row.prompt.mel for row in rows], longest),
        sampling.steps,
        noise=_stacked(noises, frames),
        temperature=sampling.temperature,
        guidance=sampling.guidance,
        integrator=sampling.integrator,
        prompt_lengths=held,
        adapters=together([row.model for row in rows]) if len(rows) > 1 else first.adapters,
    )
    return [
        mels[index : index + 1, :, int(start) : int(end)]
        for index, (start, end) in enumerate(zip(held, lengths, strict=True))
    ]


def _noise(row: Spoken, frames: int, bands: int) -> Tensor:
    if row.noise is not None:
        return row.noise
    if row.generator is None:
        raise ValueError("a generator is needed: there is no hidden random state")
    return torch.randn((1, bands, frames), generator=row.generator)


def _stacked(parts: Sequence[Tensor], frames: int) -> Tensor:
    return torch.cat([F.pad(part, (0, frames - part.shape[2])) for part in parts])


def chained(
    model: DiffusionModel, prompt: MelPrompt, features: Tensor, sampling: FlowSampling, generator: torch.Generator
) -> Iterator[Tensor]:
    """Features 1 x C x F -> their mel in pieces 1 x M x F', each behind the end of the one before."""
    chain = _Chain(Spoken(model, prompt, features, generator))
    while (piece := chain.next()) is not None:
        (mel,) = sampled([piece], sampling)
        chain.said(mel)
        yield mel


def chained_together(rows: Sequence[Spoken], sampling: FlowSampling, most: int = ROWS) -> list[Tensor]:
    """The whole mel 1 x M x F of each row, as `chained` gives it for the row alone; `most` rows are sampled at once, of
    any voices that share one transformer, those of like length together. Raises as `sampled`."""
    chains = [_Chain(row) for row in rows]
    while waiting := [(chain, piece) for chain in chains if (piece := chain.next()) is not None]:
        waiting.sort(key=lambda one: one[1].prompt.frames + one[1].features.shape[2])
        for start in range(0, len(waiting), most):
            some = waiting[start : start + most]
            for (chain, _), mel in zip(some, sampled([piece for _, piece in some], sampling), strict=True):
                chain.said(mel)
    return [torch.cat(chain.mels, dim=2) for chain in chains]


class _Chain:
    """A row that is said a window at a time."""

    def __init__(self, row: Spoken) -> None:
        self._row, self._prompt, self._start = row, row.prompt, 0
        self._width = WINDOWS[row.model.config.version].whole - row.prompt.frames
        self.mels: list[Tensor] = []

    def next(self) -> Spoken | None:
        """What is to be sampled next, None when everything was."""
        row, start = self._row, self._start
        if start >= row.features.shape[2]:
            return None
        return Spoken(row.model, self._prompt, row.features[..., start : start + self._width], row.generator)

    def said(self, mel: Tensor) -> None:
        piece = self._row.features[..., self._start : self._start + mel.shape[2]]
        # As upstream: the piece alone, even where it is shorter than the prompt was.
        self._prompt = MelPrompt(piece[..., -self._prompt.frames :], mel[..., -self._prompt.frames :])
        self._start += mel.shape[2]
        self.mels.append(mel)


def overlapped(
    model: DiffusionModel, prompt: MelPrompt, features: Tensor, sampling: FlowSampling, generator: torch.Generator
) -> tuple[Tensor, int]:
    """Features 1 x C x F, any number of sentences -> mels K x M x W of windows that overlap by OVERLAP frames, and how
    many frames of the last one are padding. The first window begins with OVERLAP frames of nothing."""
    width = WINDOWS[model.config.version].whole - prompt.frames
    padded = F.pad(features, (OVERLAP, 0))
    stride = width - OVERLAP
    count = max(1, -(-(padded.shape[2] - OVERLAP) // stride))
    spare = (count - 1) * stride + width - padded.shape[2]
    windows = F.pad(padded, (0, spare)).unfold(2, width, stride)[0].permute(1, 0, 2)
    rows = [Spoken(model, prompt, window[None], generator) for window in windows]
    return torch.cat(sampled(rows, sampling)), spare


class MelStream:
    """The mel of one sentence while its codes are still being made. Belongs to one thread.

    Each piece is sampled behind a prompt of fixed length: the end of the reference and of what was said already. The
    last `hold` codes wait for the next piece, because the encoders have not seen what follows them.
    """

    def __init__(
        self,
        model: DiffusionModel,
        prompt: MelPrompt,
        phones: Tensor,
        style: Tensor,
        sampling: FlowSampling,
        generator: torch.Generator,
        *,
        hold: int = 2,
        speed: float = 1.0,
    ) -> None:
        """phones 1 x X of the whole sentence, style 1 x G x 1."""
        self._model, self._prompt, self._phones, self._style = model, prompt, phones, style
        self._sampling, self._generator, self._speed = sampling, generator, speed
        self._hold = hold
        self._codes = torch.zeros((1, 0), dtype=torch.int64)
        self._said = 0

    @torch.inference_mode()
    def feed(self, codes: Tensor, *, final: bool) -> Tensor:
        """The next codes, 1 x T -> the mel that is settled now, 1 x M x F' (F' may be 0)."""
        self._codes = torch.cat((self._codes, codes), dim=1)
        bands = self._model.config.dit.mel
        known = self._codes.shape[1]
        ready = known if final else known - self._hold
        if ready <= 0:
            return torch.zeros(1, bands, 0)
        features = self._model.features(self._codes, self._phones, self._style, self._speed)
        end = features.shape[2] if final else min(features.shape[2], self._model.frames(ready, self._speed))
        piece = features[..., self._said : end]
        if not piece.shape[2]:
            return torch.zeros(1, bands, 0)
        (mel,) = sampled([Spoken(self._model, self._prompt, piece, self._generator)], self._sampling)
        self._prompt = self._prompt.then(piece, mel)
        self._said = end
        return mel
