"""One minute of speech to a voice: prepare, S1, S2, reference, pack."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.bases import as_voice
from cloning.engine.errors import TrainingRefused
from cloning.engine.features.spectrogram import linear
from cloning.engine.lowrank import base_digest
from cloning.engine.reference import Reference
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.adapters import Attached, attach
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.doubts import CLEARLY_APART, MOST_OTHER, two_speakers
from cloning.engine.training.early import Watched, acoustic_loss, divide
from cloning.engine.training.frugal import Frugal
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.loop import CheckpointSink, Progress, Stage, freeze, restore, run, thaw
from cloning.engine.training.prepare import LEAST_SPEECH_SECONDS, Item, Material, Recording, prepare, trim
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.semantic import semantic_loss
from cloning.engine.training.stages import build_stages
from cloning.engine.voicefile import AdapterVoice, Voice, pack, pack_adapters

#: The reference utterance has about this many seconds: long enough to show the voice, short enough to prompt quickly.
REFERENCE_SECONDS = 4.0
#: The style vector is the mean over up to this many utterances.
STYLE_UTTERANCES = 12
#: Models that read better without a prompt: the small base loses its place behind one (measured: phone error 0.83
#: with a prompt, 0.68 without).
UNPROMPTED = frozenset({"starter"})
#: Longest word of a voice's summary (voicefile).
MOST_WORD = 500
#: Models whose style vectors tell speakers apart as `doubts` expects; the others were not measured.
HEARS_SPEAKERS = frozenset({"starter"})

#: Models whose S2 was listened to when it was made, and the weights it was made with (`recipe.AcousticRecipe`).
LISTENED = frozenset({"starter"})
PERIODICITY, LISTENING = 80.0, 20.0


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
    hearing: OfficialHearing | None = None,
    keep: Path | None = None,
) -> bytes:
    """Train a voice; return the bytes of a voice file (voicefile.pack; pack_adapters with `recipe.adapters`).

    base None: the shipped starter base. The same input and seed give the same bytes on the same machine with the same
    number of threads, unless memory runs out on the way (see training.frugal). `checkpoint` receives a resumable state
    every `checkpoint_every` steps and when stopping; given back as `resume=`, with the same recordings, recipe, base
    and seed, it continues to the same result. A checkpoint holds weights trained on the voice: treat it like the voice.
    `hearing`: the encoders that an official base needs, made for this base; `compat` in it prepares as upstream does.
    `keep`: see prepare. The voice's `training` summary tells what was left out or looked doubtful.
    Raises TrainingRefused (unusable material, see prepare and one_speaker; `no_models`, `bad_recipe`,
    `bad_checkpoint`, `no_items`), TextError (unsupported language) and TrainingFailed (`not_finite`, `stopped`,
    `out_of_memory`).
    """
    base = base or starter_base()
    if (base.config.content.kind == "hubert") != (hearing is not None):
        raise TrainingRefused("no_models", "an official base needs the mounted encoders, and only an official one")
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads)
    try:
        # Building models draws from torch's global generator; nobody else's draws may change by that.
        with torch.random.fork_rng(devices=[]):
            progress(Progress("prepare", 0, 1, 0.0, 0.0))
            encoder = base.build_content() if hearing is None else hearing
            material = prepare(
                recordings, language=language, config=base.config, encoder=encoder, codebook=base.codebook, keep=keep
            )
            progress(Progress("prepare", 1, 1, 0.0, 0.0))
            run_ = Run(material, language, recipe, base, seed, progress, device)
            run_.train(checkpoint, resume, should_stop)
            return run_.packed()
    finally:
        torch.set_num_threads(threads)


class Run:
    """One training, from prepared material to bytes."""

    def __init__(
        self,
        material: Material,
        language: str,
        recipe: TrainingRecipe,
        base: Base,
        seed: int,
        progress: Callable[[Progress], None],
        device: str,
    ) -> None:
        self.material, self.language, self.base, self.seed = material, language, base, seed
        self.recipe = recipe = fitted(recipe, base)
        self.progress = progress
        # Adapters belong to a base that others have too, so parts that it lacks must not depend on this seed.
        self.semantic = base.build_semantic(0 if recipe.adapters else seed)
        self.acoustic = base.build_acoustic(0 if recipe.adapters else seed)
        if base.acoustic is not None:
            self.material = material = one_speaker(material, self.acoustic, base.config.version)
        self.adapters: list[Attached] = []
        if recipe.adapters:
            if recipe.official:
                raise TrainingRefused("bad_recipe", "the official recipe trains whole models, not adapters")
            self.adapters = [attach(m, recipe.adapters, seeds=[seed]) for m in (self.semantic, self.acoustic)]
        items, self.held = divide(material.items, recipe.early) if recipe.early else (list(material.items), [])
        self.stages: list[Stage] = [
            Frugal(stage)
            for stage in build_stages(
                recipe, self.semantic, self.acoustic, items, config=base.config, device=device, seed=seed,
                critics=base.critics, listener=base.build_content() if recipe.acoustic.listening else None,
            )
        ]  # fmt: skip
        self.frugal: list[Frugal] = [stage for stage in self.stages if isinstance(stage, Frugal)]
        if recipe.early and self.held:
            rule, weight = recipe.early, recipe.acoustic.mel_weight
            readable = [item for item in self.held if item.has_text]
            self.stages = [
                Watched(self.stages[0], self.semantic, rule, lambda: held_semantic_loss(self.semantic, readable)),
                Watched(
                    self.stages[1], self.acoustic, rule,
                    lambda: acoustic_loss(self.acoustic, self.held, mel_weight=weight),
                ),
            ]  # fmt: skip
        self.skipped = 0

    def train(
        self, checkpoint: CheckpointSink | None, resume: bytes | None, should_stop: Callable[[], bool] | None
    ) -> None:
        print_ = fingerprint(self.material, self.recipe, self.base, self.seed)
        first, start = self._restored(resume, print_) if resume is not None else (0, 0)
        for stage in self.stages[first:]:

            def save_at(step: int, stage: Stage = stage, sink: CheckpointSink | None = checkpoint) -> None:
                if sink is None:
                    return
                about = {
                    "fingerprint": print_, "stage": stage.name, "step": step, "skipped": self.skipped,
                    "halved": [frugal.halved for frugal in self.frugal],
                }  # fmt: skip
                sink(freeze(about, {"semantic": self.semantic} | stage.modules(), stage.optimisers()))

            run(
                stage, seed=self.seed, start=start, progress=self._told, most_skipped=self.recipe.most_skipped,
                checkpoint_every=self.recipe.checkpoint_every, save_at=save_at if checkpoint else None,
                should_stop=should_stop,
            )  # fmt: skip
            start = 0

    def packed(self) -> bytes:
        self.semantic.eval().cpu()
        self.acoustic.eval().cpu()
        kept = reference(self.acoustic, self.material, self.base.config.version)
        summary: dict[str, int | float | str] = {
            **outcome(self.material),
            "held_out": len(self.held),
            "semantic_steps": self.stages[0].steps,
            "acoustic_steps": self.stages[1].steps,
            "skipped_steps": self.skipped,
            "batches_halved": sum(frugal.halved for frugal in self.frugal),
            "seed": self.seed,
        }
        if self.recipe.adapters:
            whole = as_voice(self.base)
            adapters = AdapterVoice(
                config=whole.config,
                language=self.language,
                rank=self.recipe.adapters.rank,
                alpha=self.recipe.adapters.alpha,
                semantic=self.adapters[0].state(),
                acoustic=self.adapters[1].state(),
                reference=kept,
                base_digest=base_digest(whole.semantic, whole.acoustic),
                training=summary,
            )
            return pack_adapters(adapters)
        voice = Voice(
            config=self.base.config,
            language=self.language,
            semantic=self.semantic.state_dict(),
            acoustic=self.acoustic.state_dict(),
            reference=kept,
            base_digest=self.base.digest,
            training=summary,
        )
        return pack(voice.for_speaking())

    def _restored(self, resume: bytes, print_: str) -> tuple[int, int]:
        """The stage's place and the step from which a checkpoint continues. Raises TrainingRefused `bad_checkpoint`."""
        about, tensors = thaw(resume)
        names = [stage.name for stage in self.stages]
        counts = [about.get("step"), about.get("skipped"), *about.get("halved", [None])]
        if (
            about.get("fingerprint") != print_
            or about.get("stage") not in names
            or not all(isinstance(count, int) and count >= 0 for count in counts)
            or len(counts) != 2 + len(self.frugal)
        ):
            raise TrainingRefused("bad_checkpoint", "the checkpoint belongs to another training")
        place = names.index(about["stage"])
        restore(tensors, {"semantic": self.semantic} | self.stages[place].modules(), self.stages[place].optimisers())
        for frugal, halved in zip(self.frugal, about["halved"], strict=True):
            while frugal.halved < halved and frugal.halve():
                pass
        self.skipped = about["skipped"]
        return place, about["step"]

    def _told(self, progress: Progress) -> None:
        self.skipped += progress.loss != progress.loss
        self.progress(progress)


def fitted(recipe: TrainingRecipe, base: Base) -> TrainingRecipe:
    """The recipe as a voice of this base is trained: in a full fine-tune of a starter that speaks, the encoder that
    S2 learnt to please goes on listening. Without it S2 forgets how to be understood (measured: docs/starter.md)."""
    if base.config.version not in LISTENED or base.acoustic is None or recipe.official or recipe.adapters:
        return recipe
    acoustic = dataclasses.replace(recipe.acoustic, periodicity=PERIODICITY, listening=LISTENING)
    return dataclasses.replace(recipe, acoustic=acoustic)


@torch.inference_mode()
def one_speaker(material: Material, model: AcousticModel, version: str) -> Material:
    """The material without the utterances of a second speaker, who is noted, as is a doubtful one.

    Raises TrainingRefused `two_speakers` when there are more than MOST_OTHER of them, `too_little_speech`,
    `no_transcript` when too little is left. Models whose styles were not measured take the material as it is.
    """
    if version not in HEARS_SPEAKERS:
        return material
    was, device = model.training, next(model.parameters()).device
    model.eval()
    specs = (linear(item.wave[None].to(device), model.audio) for item in material.items)
    found = two_speakers(torch.stack([model.reference_style([spec])[0, :, 0] for spec in specs]).cpu().numpy())
    model.train(was)
    if found is None:
        return material
    if found.cosine >= CLEARLY_APART:
        return dataclasses.replace(material, notes=(*material.notes, "two_speakers"))
    if found.share >= MOST_OTHER:
        raise TrainingRefused(
            "two_speakers",
            f"two people seem to speak, one in {found.share:.0%} of the recordings; give only those of one person",
        )
    items = [item for item, other in zip(material.items, found.other, strict=True) if not other]
    gone = [item for item, other in zip(material.items, found.other, strict=True) if other]
    rate = model.audio.sample_rate
    lost = sum(len(item.wave) for item in gone) / rate
    heard = material.speech_seconds - sum(trim(item.wave.numpy(), rate)[1] for item in gone)
    if heard < LEAST_SPEECH_SECONDS:
        raise TrainingRefused("too_little_speech", f"only {heard:.1f} seconds are left without the second speaker")
    kept = Material(
        items, heard, material.dropped_seconds + lost, (*material.notes, "second_speaker_left_out"),
        (*material.left_out, *(item.name for item in gone)),
    )  # fmt: skip
    if not kept.readable:
        raise TrainingRefused("no_transcript", "without the second speaker no recording came with its text")
    return kept


def outcome(material: Material) -> dict[str, int | float | str]:
    """What a voice's summary tells of its material; names are cut where a summary's word ends."""
    return {
        "speech_seconds": round(material.speech_seconds, 2),
        "dropped_seconds": round(material.dropped_seconds, 2),
        "utterances": len(material.items),
        "recordings_left_out": len(set(material.left_out)),
        "left_out": ", ".join(dict.fromkeys(name[:80] for name in material.left_out))[:MOST_WORD],
        "notes": ", ".join(material.notes),
    }


def held_semantic_loss(model: Text2Semantic, items: Sequence[Item]) -> float:
    """Mean held-out cross entropy of S1; inf when no text was held out."""
    return semantic_loss(model, items)[0] if items else math.inf


def fingerprint(material: Material, recipe: TrainingRecipe, base: Base, seed: int) -> str:
    """SHA-256 over everything that decides the result, so that a checkpoint is not continued with something else."""
    sha = hashlib.sha256(json.dumps([dataclasses.asdict(recipe), base.config.to_dict(), base.digest, seed]).encode())
    for item in material.items:
        sha.update(item.wave.numpy().tobytes())
        sha.update(item.phones.numpy().tobytes())
        sha.update(item.codes.numpy().tobytes())
    return sha.hexdigest()


def nearest(items: Sequence[Item], rate: int) -> list[Item]:
    """The items, those of about REFERENCE_SECONDS first."""
    return sorted(items, key=lambda item: abs(len(item.wave) / rate - REFERENCE_SECONDS))


@torch.inference_mode()
def reference(model: AcousticModel, material: Material, version: str, *, prompted: bool = True) -> Reference:
    """Prompt and style: the readable utterance nearest to REFERENCE_SECONDS, and the mean style of several.

    A starter voice (UNPROMPTED), and any without `prompted`, keeps no prompt: its timbre comes from the style alone.
    """
    ordered = nearest(material.readable or material.items, model.audio.sample_rate)
    specs = [linear(item.wave[None], model.audio) for item in ordered[:STYLE_UTTERANCES]]
    vectors = [item.speaker_vector for item in ordered[:STYLE_UTTERANCES]]
    speakers = [vector[None] for vector in vectors if vector is not None]
    style = model.reference_style(specs, speakers or None).clone()
    if version in UNPROMPTED or not prompted:
        nothing = torch.zeros(0, dtype=torch.int64)
        return Reference(phones=nothing, codes=nothing, style=style)
    return Reference(phones=ordered[0].phones, codes=ordered[0].codes, style=style)
