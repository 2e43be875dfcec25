"""One minute of speech to a v3 or v4 voice: prepare, S1, S2's flow matching, official files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from cloning.engine.acoustic.lora import OWN_PARTS
from cloning.engine.errors import TrainingRefused
from cloning.engine.export import export_diffusion, export_lora, export_semantic
from cloning.engine.training.adapters import attach
from cloning.engine.training.diffusion_base import DiffusionBase
from cloning.engine.training.flow import Trained
from cloning.engine.training.flow_stage import FlowStage
from cloning.engine.training.frugal import Frugal
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.loop import CheckpointSink, Progress, Stage
from cloning.engine.training.prepare import Material, Recording, prepare
from cloning.engine.training.quick import narrow
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.stages import semantic_stage
from cloning.engine.training.voice import Run, outcome

T = TypeVar("T")

#: What a lean file repeats of its base, so that it is refused beside another.
IDENTITY = ("quantizer.vq.layers.0._codebook.embed", "cfm.estimator.rotary_embed.inv_freq")


@dataclass(frozen=True)
class DiffusionVoice:
    """Official files, S1's `.ckpt` and S2's `.pth` (a LoRA file, or with `rank` None a whole generator), and the
    training's summary as a voice file has it."""

    version: str
    semantic: bytes
    acoustic: bytes
    training: dict[str, int | float | str]


def train_diffusion(
    recordings: Sequence[Recording],
    *,
    language: str,
    recipe: TrainingRecipe,
    base: DiffusionBase,
    hearing: OfficialHearing,
    seed: int,
    progress: Callable[[Progress], None],
    checkpoint: CheckpointSink | None = None,
    resume: bytes | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: str = "cpu",
    keep: Path | None = None,
) -> DiffusionVoice:
    """Train a voice; `recipe.flow` says what of S2. Repeatable, and to be resumed, as `voice.train_voice`.

    Raises as that does; TrainingRefused `bad_recipe` for starter-style adapters or early stopping, which v3 and v4 do
    not have here.
    """
    if recipe.adapters:
        raise TrainingRefused("bad_recipe", "official files hold no adapters of S1; those of S2 are `flow`")
    return flow_trained(
        recordings, FlowRun.made, language=language, recipe=recipe, base=base, hearing=hearing, seed=seed,
        progress=progress, checkpoint=checkpoint, resume=resume, should_stop=should_stop, device=device, keep=keep,
    )  # fmt: skip


def flow_trained(
    recordings: Sequence[Recording],
    finish: Callable[[FlowRun], T],
    *,
    language: str,
    recipe: TrainingRecipe,
    base: DiffusionBase,
    hearing: OfficialHearing,
    seed: int,
    progress: Callable[[Progress], None],
    checkpoint: CheckpointSink | None,
    resume: bytes | None,
    should_stop: Callable[[], bool] | None,
    device: str,
    keep: Path | None,
) -> T:
    """The training, and what `finish` makes of it. `recipe.adapters`: S1 learns adapters beside its base. Raises as
    `train_diffusion`."""
    if recipe.early:
        raise TrainingRefused("bad_recipe", "v3 and v4 have no early stopping")
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            progress(Progress("prepare", 0, 1, 0.0, 0.0))
            material = prepare(
                recordings, language=language, config=base.shared.config, encoder=hearing,
                codebook=base.shared.codebook, keep=keep,
            )  # fmt: skip
            progress(Progress("prepare", 1, 1, 0.0, 0.0))
            run = FlowRun(material, language, recipe, base, seed, progress, device)
            run.train(checkpoint, resume, should_stop)
            return finish(run)
    finally:
        torch.set_num_threads(threads)


class FlowRun(Run):
    """One training, from prepared material to files. What it continues from is a checkpoint of S1 and of what S2
    trains; the frozen base is not in it."""

    def __init__(
        self,
        material: Material,
        language: str,
        recipe: TrainingRecipe,
        base: DiffusionBase,
        seed: int,
        progress: Callable[[Progress], None],
        device: str,
    ) -> None:
        self.material, self.language, self.recipe, self.seed = material, language, recipe, seed
        self.base, self.diffusion, self.progress = base.shared, base, progress
        self.semantic = base.shared.build_semantic(seed)
        self.model = base.build()
        self.trained = Trained(self.model, recipe.flow, seed=seed)
        self.held, self.skipped = [], 0
        self.adapters = [attach(self.semantic, recipe.adapters, seeds=[seed])] if recipe.adapters else []
        first = semantic_stage(recipe, self.semantic, material.items, config=base.shared.config, device=device)
        second = FlowStage(
            self.model, self.trained, material.items, recipe.flow, bfloat16=narrow(recipe.bfloat16, device),
            recompute=recipe.recompute, device=device,
        )  # fmt: skip
        self.frugal = [Frugal(first), Frugal(second)]
        self.stages: list[Stage] = [*self.frugal]

    def made(self) -> DiffusionVoice:
        """The files. Raises CheckpointError `not_finite` for weights that half precision cannot hold."""
        self.semantic.eval().cpu()
        self.model.eval().cpu()
        self.trained.cpu()
        semantic = export_semantic(self.base.config, self.semantic.state_dict(), info=self._info())
        return DiffusionVoice(self.diffusion.config.version, semantic, self.acoustic_file(), self.summary())

    def _info(self) -> str:
        return f"trained {self.stages[0].steps} + {self.stages[1].steps} steps"

    def acoustic_file(self) -> bytes:
        """S2 as an official file: LoRA, or with a rank of None the generator. Raises CheckpointError `not_finite`."""
        config, flow, weights = self.diffusion.config, self.recipe.flow, self.model.state_dict()
        if flow.rank is None:
            return export_diffusion(config, weights, info=self._info())
        if flow.parts == "upstream":
            beside = {name: value for name, value in weights.items() if name.startswith((*OWN_PARTS, "quantizer."))}
        else:
            names = [f"{part}.{name}" for part, one in self.trained.parts.items() for name in one.state_dict()]
            beside = {name: weights[name] for name in (*names, IDENTITY[0])}
        beside[IDENTITY[1]] = weights[IDENTITY[1]]
        return export_lora(config, self.trained.pairs(), beside, rank=flow.rank, info=self._info())

    def summary(self) -> dict[str, int | float | str]:
        """What a voice file tells of its training."""
        return {
            **outcome(self.material),
            "held_out": 0,
            "semantic_steps": self.stages[0].steps,
            "acoustic_steps": self.stages[1].steps,
            "skipped_steps": self.skipped,
            "batches_halved": sum(frugal.halved for frugal in self.frugal),
            "seed": self.seed,
        }
