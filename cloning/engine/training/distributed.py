"""Data-parallel training of a base that many voices start from: one process for each device, started by `torchrun`.

`torchrun --nproc-per-node 2 -m cloning.engine.training.distributed --speech FOLDER_OR_LIST --out FOLDER`

Every process draws the same batch from the same seed and keeps its own share of the items; each loss is weighted so
that the summed gradients are those of the whole batch, so every process takes the same step and holds the same weights.
CPU processes speak gloo, CUDA processes nccl. Process 0 writes: checkpoints while training, and at the end a base
folder (`base.load_base`). A run that is started again with the same arguments goes on from the last checkpoint.

What differs from one process with the whole batch: dropout draws fall elsewhere, float32 sums have another order, and
the spectral convergence of `multi_resolution_loss`, a ratio of norms, is one for each share, as is the mean over loud
frames of `periodicity_loss`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save
from torch import Tensor, nn

from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import (
    FEATURE_WEIGHT,
    KL_WEIGHT,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    kl_loss,
    mel_loss,
    multi_resolution_loss,
    source_loss,
)
from cloning.engine.checkpoints import read_bounded
from cloning.engine.errors import EngineError, TrainingRefused
from cloning.engine.features.spectrogram import linear
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.acoustic import CRITIC_CLIP, AcousticStage, spoken
from cloning.engine.training.base import ACOUSTIC_FILE, CONTENT_FILE, SEMANTIC_FILE, Base, load_base, starter_base
from cloning.engine.training.batches import CODE_STEP, PHONE_STEP, pick, stack
from cloning.engine.training.keep import write_whole
from cloning.engine.training.loop import MOST_BYTES, Progress, freeze, rate_at, restore, run, thaw
from cloning.engine.training.prepare import Item, prepare
from cloning.engine.training.quick import narrow
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.recordings import read_recordings
from cloning.engine.training.semantic import SemanticStage
from cloning.engine.training.voice import fingerprint

#: Gradients are exchanged in pieces of about this many numbers (64 MB).
BUCKET = 2**24
CHECKPOINT = "training.checkpoint"


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of one training: this one's number and how many there are. One process needs no group."""

    rank: int = 0
    size: int = 1

    def share(self, count: int) -> slice:
        """Which of `count` items this process takes."""
        return slice(self.rank, count, self.size)

    def add(self, values: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def equal_start(self, model: nn.Module) -> None:
        """Every process takes over the weights of process 0."""
        if self.size > 1:
            for value in model.state_dict().values():
                dist.broadcast(value, 0)

    def step(
        self, loss: Tensor | None, model: nn.Module, optimiser: torch.optim.Optimizer, *, rate: float, clip: float
    ) -> bool:
        """Backward, sum of all gradients, clip, step with the groups' `peak` times `rate`; the same everywhere.

        loss None: this process had no item. False: not finite in some process, and nothing was changed in any.
        """
        optimiser.zero_grad(set_to_none=True)
        trained = [p for group in optimiser.param_groups for p in group["params"] if p.requires_grad]
        bad = torch.zeros((), device=trained[0].device)
        if loss is not None:
            bad += 0.0 if bool(torch.isfinite(loss.detach())) else 1.0
        if float(self.add(bad)) > 0:
            return False
        if loss is not None:
            loss.backward()  # type: ignore[no-untyped-call]
        self._sum_gradients(trained)
        norm = torch.nn.utils.clip_grad_norm_([p for p in trained if p.grad is not None], clip)
        if not bool(torch.isfinite(norm)):
            optimiser.zero_grad(set_to_none=True)
            return False
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        optimiser.step()
        return True

    def _sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """A parameter keeps no gradient if it has none in any process: then it must not be decayed either."""
        if self.size == 1:
            return
        device = parameters[0].device
        used = self.add(torch.tensor([float(p.grad is not None) for p in parameters], device=device))
        waiting = [p for p, count in zip(parameters, used.tolist(), strict=True) if count > 0]
        while waiting:
            taken: list[nn.Parameter] = []
            numbers = 0
            while waiting and (not taken or numbers + waiting[0].numel() <= BUCKET):
                taken.append(waiting.pop(0))
                numbers += taken[-1].numel()
            pieces = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in taken]
            whole = self.add(torch.cat(pieces))
            for p, piece in zip(taken, whole.split([p.numel() for p in taken]), strict=True):
                p.grad = piece.view_as(p).clone()


class SharedSemantic(SemanticStage):
    """S1's stage with every batch shared out. Single utterances, without the phone teacher and without pairs."""

    def __init__(
        self, team: Team, model: Text2Semantic, items: Sequence[Item], recipe: TrainingRecipe, device: str
    ) -> None:
        super().__init__(model, items, recipe.semantic, bfloat16=narrow(recipe.bfloat16, device), device=device)
        self.team = team
        team.equal_start(self.model)

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        items = pick(self.items, self.recipe.batch, rng)
        mine = items[self.team.share(len(items))]
        places = sum(len(item.codes) + 1 for item in items)  # every code and the end mark
        loss: Tensor | None = None
        if mine:
            phones, phone_lengths = stack([item.phones for item in mine], PHONE_STEP)
            codes, code_lengths = stack([item.codes for item in mine], CODE_STEP)
            given = (value.to(self.device) for value in (phones, phone_lengths, codes, code_lengths))
            with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
                loss = self.model(*given, reduction="sum").loss / places
        told = self.team.add(torch.zeros((), device=self.device) if loss is None else loss.detach().clone())
        rate = rate_at(step, steps=self.steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
        if not self.team.step(loss, self.model, self.optimiser, rate=rate, clip=self.recipe.clip):
            return None
        return float(told)


class SharedAcoustic(AcousticStage):
    """S2's stage with every batch shared out; latent noise and segments are drawn for the whole batch."""

    def __init__(
        self, team: Team, model: AcousticModel, items: Sequence[Item], recipe: TrainingRecipe, device: str, seed: int
    ) -> None:
        if recipe.acoustic.commitment or recipe.acoustic.listening:
            raise TrainingRefused("bad_recipe", "in several processes no codes are trained, and nobody listens")
        super().__init__(
            model, items, recipe.acoustic, bfloat16=narrow(recipe.bfloat16, device), device=device, seed=seed
        )
        self.team = team
        team.equal_start(self.model)
        if self.critics is not None:
            team.equal_start(self.critics)

    def spoken_here(self, count: int) -> list[int]:
        """Which of this process's items are among those of the whole batch (`count`) that `acoustic.spoken` names."""
        wanted = spoken(self.model, count)
        return [own for own, place in enumerate(range(count)[self.team.share(count)]) if place in wanted]

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        items = self.batch(rng)
        audio, segment = self.model.audio, self.model.config.segment_frames
        frames = -(-max(len(item.codes) for item in items) // CODE_STEP) * CODE_STEP * self.span
        noise = torch.randn(len(items), self.model.config.latent, frames, generator=generator)
        lengths = torch.tensor([len(item.codes) * self.span for item in items])
        starts = (torch.rand(len(items), generator=generator) * (lengths - segment + 1).clamp(min=1)).long()
        share = self.team.share(len(items))
        mine = items[share]
        fake = real = loss = None
        told = torch.zeros((), device=self.device)
        if mine:
            padded = [torch.nn.functional.pad(i.wave, (0, frames * audio.hop - len(i.wave))) for i in mine]
            waves = torch.stack(padded).to(self.device)
            codes = torch.nn.functional.pad(
                (stacked := stack([i.codes for i in mine], CODE_STEP)[0]), (0, frames // self.span - stacked.shape[1])
            )
            phones, phone_lengths = stack([item.phones for item in mine], PHONE_STEP)
            with torch.no_grad():
                spec = linear(waves, audio)
            speaker = [item.speaker_vector for item in mine if item.speaker_vector is not None]
            with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.bfloat16):
                out = self.model(
                    codes.to(self.device), spec, lengths[share].to(self.device),
                    phones.to(self.device), phone_lengths.to(self.device),
                    noise=noise[share].to(self.device), starts=starts[share].to(self.device),
                    speaker=torch.stack(speaker).to(self.device) if speaker else None,
                    spoken=self.spoken_here(len(items)),
                )  # fmt: skip
            fake = out.wave.float()
            real = slice_segments(waves[:, None], out.starts * audio.hop, segment * audio.hop)
            part = len(mine) / len(items)
            spectral = mel_loss(fake, real, audio)
            told = told + spectral.detach() * part
            # The KL is a mean over frames, the others are means over items.
            loss = KL_WEIGHT * kl_loss(out) * (float(lengths[share].sum()) / float(lengths.sum()))
            resolution = self.recipe.resolution_weight * multi_resolution_loss(fake, real)
            loss = loss + part * (self.recipe.mel_weight * spectral + resolution)
            if self.model.pitch is not None:
                loss = loss + part * source_loss(out, fake, real, audio, self.recipe.periodicity)
        rate = rate_at(step, steps=self.steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
        if self.critics is not None and step > (self.recipe.adversarial_from or 0):
            verdict = None
            self.critics.requires_grad_(True)
            if fake is not None and real is not None:
                verdict = part * discriminator_loss(self.critics(real), self.critics(fake.detach()))
            if not self.team.step(verdict, self.critics, self.critic_optimiser, rate=rate, clip=CRITIC_CLIP):
                return None
            self.critics.requires_grad_(False)
            if fake is not None and real is not None and loss is not None:
                with torch.no_grad():
                    on_real = self.critics(real)
                on_fake = self.critics(fake)
                loss = loss + part * (adversarial_loss(on_fake) + FEATURE_WEIGHT * feature_loss(on_real, on_fake))
        self.team.add(told)
        if not self.team.step(loss, self.model, self.optimiser, rate=rate, clip=self.recipe.clip):
            return None
        return float(told)


def train_base(
    team: Team,
    items: Sequence[Item],
    *,
    base: Base,
    recipe: TrainingRecipe,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    mark: str = "",
    progress: bool = False,
) -> tuple[Text2Semantic, AcousticModel]:
    """Both models of `base` trained on `items` by all processes together; every process returns the same weights.

    `checkpoint`: a file that process 0 writes every `recipe.checkpoint_every` steps, and from which all go on if it
    is there; `mark` says what it belongs to. Raises TrainingFailed, TrainingRefused (`bad_checkpoint`).
    """
    semantic, acoustic = base.build_semantic(seed), base.build_acoustic(seed)
    stages: list[SharedSemantic | SharedAcoustic] = [
        SharedSemantic(team, semantic, items, recipe, device),
        SharedAcoustic(team, acoustic, items, recipe, device, seed),
    ]
    first, start = 0, 0
    if checkpoint is not None and checkpoint.is_file():
        about, tensors = thaw(read_bounded(checkpoint, MOST_BYTES))
        names = [stage.name for stage in stages]
        if about.get("mark") != mark or about.get("stage") not in names or not isinstance(about.get("step"), int):
            raise TrainingRefused("bad_checkpoint", "the checkpoint belongs to another training")
        first, start = names.index(about["stage"]), about["step"]
        restore(tensors, {"semantic": semantic} | stages[first].modules(), stages[first].optimisers())
    if team.size > 1:
        dist.barrier()  # process 0 must not write a newer checkpoint while another still reads

    def tell(now: Progress) -> None:
        if progress and team.rank == 0:
            sys.stderr.write(
                f"{now.stage} {now.step}/{now.steps}  loss {now.loss:.4f}  {now.seconds_left:.0f} s left\n"
            )

    for stage in stages[first:]:

        def save_at(step: int, stage: SharedSemantic | SharedAcoustic = stage) -> None:
            if checkpoint is not None and team.rank == 0:
                about = {"mark": mark, "stage": stage.name, "step": step}
                write_whole(checkpoint, freeze(about, {"semantic": semantic} | stage.modules(), stage.optimisers()))

        run(
            stage, seed=seed, start=start, progress=tell, most_skipped=recipe.most_skipped,
            checkpoint_every=recipe.checkpoint_every, save_at=save_at, should_stop=None,
        )  # fmt: skip
        start = 0
    return semantic.eval().cpu(), acoustic.eval().cpu()


def write_base(folder: Path, base: Base, semantic: nn.Module, acoustic: nn.Module) -> None:
    """The three files that `load_base` reads, each whole or not at all, float32."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Tensor] = {f"content.{name}": value.contiguous() for name, value in base.content.items()}
    files: Mapping[str, dict[str, Tensor]] = {
        CONTENT_FILE: content | {"codebook": base.codebook.contiguous()},
        SEMANTIC_FILE: {name: value.contiguous() for name, value in semantic.state_dict().items()},
        ACOUSTIC_FILE: {name: value.contiguous() for name, value in acoustic.state_dict().items()},
    }
    for name, tensors in files.items():
        write_whole(folder / name, save(tensors))


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 trained, 1 refused or failed (the reason is on stderr)."""
    parser = argparse.ArgumentParser(prog="cloning.engine.training.distributed", description="Train a base together.")
    parser.add_argument("--speech", type=Path, required=True, help="folder of NAME.wav and NAME.txt, or a list file")
    parser.add_argument("--out", type=Path, required=True, help="folder for the base that is made")
    parser.add_argument("--base", type=Path, default=None, help="base folder to start from (default: the starter)")
    parser.add_argument("--recipe", choices=("demo", "thorough", "tiny"), default="thorough")
    parser.add_argument("--language", default="en")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    recipe = getattr(TrainingRecipe, options.recipe)()
    torch.set_num_threads(recipe.threads)
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if options.device == "cuda" else "cpu"
    if size > 1:
        dist.init_process_group("nccl" if options.device == "cuda" else "gloo")
    try:
        base = load_base(options.base) if options.base else starter_base()
        material = prepare(
            read_recordings(options.speech), language=options.language, config=base.config,
            encoder=base.build_content(), codebook=base.codebook,
        )  # fmt: skip
        print_ = hashlib.sha256(f"{fingerprint(material, recipe, base, options.seed)}/{size}".encode()).hexdigest()
        checkpoint = options.out / CHECKPOINT
        if rank == 0:
            options.out.mkdir(parents=True, exist_ok=True)
        semantic, acoustic = train_base(
            Team(rank, size), material.items, base=base, recipe=recipe, seed=options.seed, device=device,
            checkpoint=checkpoint, mark=print_, progress=True,
        )  # fmt: skip
        if rank == 0:
            write_base(options.out, base, semantic, acoustic)
            checkpoint.unlink(missing_ok=True)
    except (EngineError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        if size > 1:
            dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
