"""One minute of speech to a voice: prepare, S1, S2, reference, pack."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence

import torch

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.errors import TrainingRefused
from cloning.engine.features.spectrogram import linear
from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.loop import CheckpointSink, Progress, Stage, freeze, restore, run, thaw
from cloning.engine.training.prepare import Item, Material, Recording, prepare
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.semantic import SemanticStage
from cloning.engine.voicefile import Reference, Voice, pack

#: The reference utterance has about this many seconds: long enough to show the voice, short enough to prompt quickly.
REFERENCE_SECONDS = 4.0
#: The style vector is the mean over up to this many utterances.
STYLE_UTTERANCES = 12
#: Models that read better without a prompt: the small base loses its place behind one (measured: phone error 0.83
#: with a prompt, 0.68 without).
UNPROMPTED = frozenset({"starter"})


def train_voice(
    recordings: Sequence[Recording],
    *,
    language: str,
    recipe: TrainingRecipe,
    base: Base | None,
    seed: int,
    progress: Callable[[Progress], None],
    checkpoint: CheckpointSink | None = None,
    resume: bytes | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: str = "cpu",
) -> bytes:
    """Train a voice; return the bytes of a voice file (voicefile.pack).

    base None: the shipped starter base. The same input and seed give the same bytes on the same machine with the same
    number of threads. `checkpoint` receives a resumable state every `checkpoint_every` steps and when stopping; given
    back as `resume=`, with the same recordings, recipe, base and seed, it continues to the same result. A checkpoint
    holds weights trained on the voice: treat it like the voice.
    Raises TrainingRefused (unusable material, see prepare; `bad_checkpoint`), TextError (unsupported language) and
    TrainingFailed (`not_finite`, `stopped`).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads)
    try:
        # Building models draws from torch's global generator; nobody else's draws may change by that.
        with torch.random.fork_rng(devices=[]):
            return _train(
                recordings,
                language,
                recipe,
                base or starter_base(),
                seed,
                progress,
                checkpoint,
                resume,
                should_stop,
                device,
            )
    finally:
        torch.set_num_threads(threads)


def _train(
    recordings: Sequence[Recording],
    language: str,
    recipe: TrainingRecipe,
    base: Base,
    seed: int,
    progress: Callable[[Progress], None],
    checkpoint: CheckpointSink | None,
    resume: bytes | None,
    should_stop: Callable[[], bool] | None,
    device: str,
) -> bytes:
    progress(Progress("prepare", 0, 1, 0.0, 0.0))
    material = prepare(
        recordings, language=language, config=base.config, encoder=base.build_content(), codebook=base.codebook
    )
    progress(Progress("prepare", 1, 1, 0.0, 0.0))
    semantic = base.build_semantic(seed)
    acoustic = base.build_acoustic(seed)
    stages: list[Stage] = [
        SemanticStage(semantic, material.items, recipe.semantic, bfloat16=recipe.bfloat16, device=device),
        AcousticStage(acoustic, material.items, recipe.acoustic, bfloat16=recipe.bfloat16, device=device, seed=seed),
    ]
    print_ = fingerprint(material, recipe, base, seed)
    first, start = 0, 0
    if resume is not None:
        about, tensors = thaw(resume)
        names = [stage.name for stage in stages]
        if (
            about.get("fingerprint") != print_
            or about.get("stage") not in names
            or not isinstance(about.get("step"), int)
        ):
            raise TrainingRefused("bad_checkpoint", "the checkpoint belongs to another training")
        first, start = names.index(about["stage"]), about["step"]
        restore(tensors, {"semantic": semantic} | stages[first].modules(), stages[first].optimisers())
    for stage in stages[first:]:

        def save_at(step: int, stage: Stage = stage, sink: CheckpointSink | None = checkpoint) -> None:
            if sink is None:
                return
            about = {"fingerprint": print_, "stage": stage.name, "step": step}
            sink(freeze(about, {"semantic": semantic} | stage.modules(), stage.optimisers()))

        run(
            stage, seed=seed, start=start, progress=progress, most_skipped=recipe.most_skipped,
            checkpoint_every=recipe.checkpoint_every, save_at=save_at if checkpoint else None, should_stop=should_stop,
        )  # fmt: skip
        start = 0
    voice = Voice(
        config=base.config,
        language=language,
        semantic=semantic.eval().cpu().state_dict(),
        acoustic=acoustic.eval().cpu().state_dict(),
        reference=reference(acoustic, material, base.config.version),
        base_digest=base.digest,
        training={
            "speech_seconds": round(material.speech_seconds, 2),
            "dropped_seconds": round(material.dropped_seconds, 2),
            "utterances": len(material.items),
            "semantic_steps": recipe.semantic.steps,
            "acoustic_steps": recipe.acoustic.steps,
            "seed": seed,
        },
    )
    return pack(voice.for_speaking())


def fingerprint(material: Material, recipe: TrainingRecipe, base: Base, seed: int) -> str:
    """SHA-256 over everything that decides the result, so that a checkpoint is not continued with something else."""
    sha = hashlib.sha256(json.dumps([dataclasses.asdict(recipe), base.config.to_dict(), base.digest, seed]).encode())
    for item in material.items:
        sha.update(item.wave.numpy().tobytes())
        sha.update(item.phones.numpy().tobytes())
    return sha.hexdigest()


@torch.inference_mode()
def reference(model: AcousticModel, material: Material, version: str) -> Reference:
    """Prompt and style: the readable utterance nearest to REFERENCE_SECONDS, and the mean style of several.

    A starter voice keeps no prompt (UNPROMPTED): its timbre comes from the style alone.
    """
    rate = model.audio.sample_rate

    def distance(item: Item) -> float:
        return abs(len(item.wave) / rate - REFERENCE_SECONDS)

    ordered = sorted(material.readable, key=distance)
    specs = [linear(item.wave[None], model.audio) for item in ordered[:STYLE_UTTERANCES]]
    style = model.reference_style(specs).clone()
    if version in UNPROMPTED:
        nothing = torch.zeros(0, dtype=torch.int64)
        return Reference(phones=nothing, codes=nothing, style=style)
    return Reference(phones=ordered[0].phones, codes=ordered[0].codes, style=style)
