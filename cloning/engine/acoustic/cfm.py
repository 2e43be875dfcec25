"""Conditional flow matching (Lipman et al. 2023) of v3 and v4: noise is moved along the velocity that the DiT gives,
until it is a mel.

The DiT also reads how long a step is (shortcut models, Frans et al. 2024), so that few steps may be long ones.
Mels here are in the unit range (`features.spectrogram.to_unit`). Shapes as in `dit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from cloning.engine.acoustic.dit import Condition, Dit, DitAdapters
from cloning.engine.diffusion_config import DitConfig
from cloning.engine.errors import EngineError

#: Steps that a sampling may take (the official interface offers 4 to 128).
LEAST_STEPS, MOST_STEPS = 1, 128
#: "euler" asks the network once a step, the others twice.
Integrator = Literal["euler", "midpoint", "heun"]
EVALUATIONS: dict[str, int] = {"euler": 1, "midpoint": 2, "heun": 2}
#: Share of training batches that learn long steps, and the exponents of those steps: 2^-2 to 2^-7.
LONG_STEP_SHARE, LEAST_BASE, MOST_BASE = 0.3, 2, 7
#: A step below this size is told to the network as 0, "as short as can be".
SHORT_STEP = 1e-2


class FlowMatching(nn.Module):
    """`cfm`."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.estimator = Dit(config)

    @torch.inference_mode()
    def sample(
        self,
        text: Tensor,
        lengths: Tensor,
        prompt: Tensor,
        steps: int,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        guidance: float = 0.0,
        integrator: Integrator = "euler",
        prompt_lengths: Tensor | None = None,
        adapters: DitAdapters = (),
    ) -> Tensor:
        """text B x C x F, lengths B, prompt mel B x M x P -> mel B x M x F; the prompt's frames are zero in it.

        The noise (B x M x F, standard normal) comes from `generator` (CPU) or is handed in. `guidance`: how far beyond
        the plain velocity to go, away from the one without text and prompt (0 = off, as in practice). `prompt_lengths`
        B when the items' prompts differ. Items of a batch do not see each other. Raises EngineError `bad_steps`,
        ValueError for shapes.
        """
        check_steps(steps)
        if integrator not in EVALUATIONS:
            raise EngineError("bad_request", f"no integrator {integrator!r:.40}; known: {', '.join(EVALUATIONS)}")
        batch, _, frames = text.shape
        if noise is None:
            if generator is None:
                raise ValueError("a generator is needed: there is no hidden random state")
            noise = torch.randn((batch, self.estimator.config.mel, frames), generator=generator)
        held = torch.full((batch,), prompt.shape[2]) if prompt_lengths is None else prompt_lengths
        if int(held.max()) > frames or int(held.max()) > prompt.shape[2]:
            raise ValueError("a prompt is longer than the mel it begins")
        free = (torch.arange(frames)[None] >= held[:, None]).to(text)[:, None]
        given = torch.zeros_like(noise).to(text)
        width = min(frames, prompt.shape[2])
        given[..., :width] = prompt[..., :width].to(text)
        given = given * (1 - free)
        x = noise.to(text) * temperature * free
        network = _Velocity(self.estimator, text, lengths, given, guidance, adapters, skip=int(held.min()))
        # Halves of a step and slopes at a point have no length; only Euler steps may tell the network of theirs.
        size = torch.full((batch,), 1 / steps if integrator == "euler" else 0.0).to(text)
        network.start(size, instants(steps, integrator))
        return integrate(network, x, free, steps, integrator)

    def velocity(
        self,
        x: Tensor,
        prompt: Tensor,
        lengths: Tensor,
        time: Tensor,
        size: Tensor,
        text: Tensor,
        adapters: DitAdapters = (),
    ) -> Tensor:
        """One call of the network as training makes it: everything anew. size B: the steps' lengths."""
        condition = self.estimator.condition(text, lengths, size)
        out: Tensor = self.estimator(x, prompt, lengths, time, condition, adapters=adapters)
        return out

    def loss(
        self,
        mel: Tensor,
        lengths: Tensor,
        prompt_lengths: Tensor,
        text: Tensor,
        *,
        noise: Tensor,
        time: Tensor,
        bases: Tensor | None = None,
        adapters: DitAdapters = (),
    ) -> Tensor:
        """Upstream's loss: the mean over items of the mean square error between velocities behind the prompt.

        mel B x M x F in the unit range, lengths and prompt_lengths B, text B x C x F, noise like mel, time B in 0..1.
        `bases` B (2..7) switches to the bootstrap branch: the target is the mean of two steps of 2^-base each, made
        without a gradient, and the network is told of a step of twice that.
        """
        frames = torch.arange(mel.shape[2], device=mel.device)
        free = (frames[None] >= prompt_lengths[:, None]).to(mel)[:, None]
        prompt = mel * (1 - free)
        x = (noise + time[:, None, None] * (mel - noise)) * free
        target, size = mel - noise, torch.zeros_like(time)
        if bases is not None:
            half = 2.0 ** -bases.to(mel)
            told = torch.where(half < SHORT_STEP, torch.zeros_like(half), half)
            with torch.no_grad():
                first = self.velocity(x, prompt, lengths, time, told, text, adapters)
                middle = x + half[:, None, None] * first
                second = self.velocity(middle, prompt, lengths, time + half, told, text, adapters)
            target, size = (first + second) / 2, 2 * half
        error = (self.velocity(x, prompt, lengths, time, size, text, adapters) - target).square()
        counted = free * (frames[None] < lengths[:, None]).to(mel)[:, None]
        totals = (error * counted).sum((1, 2)) / (counted.sum((1, 2)) * mel.shape[1])
        return totals.mean()


def check_steps(steps: int) -> None:
    """Raises EngineError `bad_steps` outside LEAST_STEPS..MOST_STEPS."""
    if isinstance(steps, bool) or not isinstance(steps, int) or not LEAST_STEPS <= steps <= MOST_STEPS:
        raise EngineError("bad_steps", f"sampling takes {LEAST_STEPS} to {MOST_STEPS} steps")


class _Velocity:
    """The network with everything bound that stays the same over one sampling."""

    def __init__(
        self,
        dit: Dit,
        text: Tensor,
        lengths: Tensor,
        prompt: Tensor,
        guidance: float,
        adapters: DitAdapters,
        skip: int,
    ) -> None:
        self.dit, self.text, self.lengths, self.prompt = dit, text, lengths, prompt
        self.guidance, self.adapters, self.skip = guidance, adapters, skip
        self.condition: Condition | None = None
        self.without: Condition | None = None

    def start(self, size: Tensor, times: Sequence[float]) -> None:
        self.condition = self.dit.condition(self.text, self.lengths, size, isolated=True, times=times)
        if self.guidance > 0:
            silent = torch.zeros_like(self.text)
            self.without = self.dit.condition(silent, self.lengths, size, isolated=True, times=times)

    def __call__(self, x: Tensor, time: float) -> Tensor:
        assert self.condition is not None
        # In double precision: the moments made ahead are found by their very times.
        moments = torch.full((x.shape[0],), time, dtype=torch.float64)
        towards: Tensor = self._ask(x, self.prompt, moments, self.condition)
        if self.without is None:
            return towards
        return towards + (towards - self._ask(x, torch.zeros_like(x), moments, self.without)) * self.guidance

    def _ask(self, x: Tensor, prompt: Tensor, moments: Tensor, condition: Condition) -> Tensor:
        out: Tensor = self.dit(
            x,
            prompt,
            self.lengths,
            moments.to(x.device),
            condition,
            adapters=self.adapters,
            isolated=True,
            skip=self.skip,
        )
        return out


def instants(steps: int, integrator: Integrator) -> list[float]:
    """The times at which `integrate` asks, each once."""
    size = 1 / steps
    starts = [index * size for index in range(steps)]
    beyond = {"euler": 0.0, "midpoint": size / 2, "heun": size}[integrator]
    return list(dict.fromkeys(time for start in starts for time in (start, start + beyond)))


def integrate(
    velocity: Callable[[Tensor, float], Tensor], x: Tensor, free: Tensor, steps: int, integrator: Integrator
) -> Tensor:
    """From time 0 to 1 along `velocity`(x, time) in equal steps; places where `free` is 0 stay 0."""
    size = 1 / steps
    for index in range(steps):
        time = index * size
        slope = velocity(x, time)
        if integrator == "midpoint":
            slope = velocity((x + size / 2 * slope) * free, time + size / 2)
        elif integrator == "heun":
            slope = (slope + velocity((x + size * slope) * free, time + size)) / 2
        x = (x + size * slope) * free
    return x
