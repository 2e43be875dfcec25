"""One stage of one group of voices: every step one pass for all, and each voice its own norm, bad steps and end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.errors import TrainingRefused
from cloning.engine.features.spectrogram import linear
from cloning.engine.training.adapters import Attached
from cloning.engine.training.crowd_store import VoiceRequest
from cloning.engine.training.early import Watch
from cloning.engine.training.frugal import attempt
from cloning.engine.training.groups import ACOUSTIC_TEXT
from cloning.engine.training.loop import Progress, rate_at
from cloning.engine.training.prepare import Item, Material
from cloning.engine.training.row_adam import RowAdam
from cloning.engine.training.together import AcousticCrowd, SemanticCrowd
from cloning.engine.training.voice import STYLE_UTTERANCES, nearest

if TYPE_CHECKING:
    from cloning.engine.training.crowd import Crowd

#: A description and tensors, as `Ledger.keep_group` takes them.
State = tuple[Mapping[str, Any], Mapping[str, Tensor]]


@dataclass
class Member:
    """One voice on its way. `parts`: of its batches every so many parts one is taken, 1 unless memory ran out."""

    index: int
    request: VoiceRequest
    material: Material
    train: list[Item]
    held: list[Item]
    skipped: int = 0
    parts: int = 1
    steps: dict[str, int] = field(default_factory=dict)
    adapters: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    style: Tensor | None = None

    def state(self) -> State:
        tensors = {f"{stage}.{name}": value for stage, own in self.adapters.items() for name, value in own.items()}
        if self.style is not None:
            tensors["style"] = self.style
        return {"skipped": self.skipped, "parts": self.parts, "steps": self.steps}, tensors

    def restore(self, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.skipped, self.parts, self.steps = about["skipped"], about["parts"], dict(about["steps"])
        for name, value in tensors.items():
            if name == "style":
                self.style = value
            else:
                stage, _, own = name.partition(".")
                self.adapters.setdefault(stage, {})[own] = value


class CrowdStage:
    """Row r of every table is `self.members[r]`; rows go as voices are done or fail."""

    def __init__(
        self, crowd: Crowd, stage: SemanticCrowd | AcousticCrowd, attached: Attached, members: list[Member], start: int
    ) -> None:
        self.crowd, self.stage, self.attached, self.members = crowd, stage, attached, list(members)
        #: The place in the list of requests where the group begins.
        self.start = start
        self.recipe = stage.recipe
        self.adam = RowAdam(
            attached,
            peak=self.recipe.learning_rate * crowd.adapters.rate,
            rate_of=self._rate_of,
            betas=self.recipe.betas,
            eps=1e-8,
            clip=self.recipe.clip,
        )
        early = crowd.recipe.early
        self.watches: list[Watch | None] = [None] * len(members)
        if early is not None:
            for row, member in enumerate(members):
                if stage.usable(member.held):
                    self.watches[row] = Watch(early, {"row": self.adam.table[row]})
        self.at_once = len(members)
        self.done = 0
        self.through: list[Member] = []

    def _rate_of(self, name: str) -> float:
        if name.startswith(self.recipe.frozen):
            return 0.0
        return self.recipe.text_rate if self.stage.name == "acoustic" and name.startswith(ACOUSTIC_TEXT) else 1.0

    def run(self) -> list[Member]:
        """The members that got through; none when training was told to stop."""
        steps, first, began = self.recipe.steps, self.done, time.monotonic()
        for step in range(first + 1, steps + 1):
            if not self.members:
                break
            losses, starved = self._losses(step)
            share = rate_at(step, steps=steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
            moved = self.adam.step(losses, share)
            pace = (time.monotonic() - began) / (step - first)
            leaving = list(starved)
            for row, (member, loss) in enumerate(zip(self.members, losses.tolist(), strict=True)):
                if row in starved:
                    self.crowd.refuse(member, "out_of_memory", "there is not enough memory to train this voice")
                    continue
                member.steps[self.stage.name] = step
                if not moved[row]:
                    member.skipped += 1
                    if member.skipped > self.crowd.recipe.most_skipped:
                        sentence = f"{member.skipped} steps of the {self.stage.name} stage were not finite"
                        self.crowd.refuse(member, "not_finite", sentence)
                        leaving.append(row)
                shown = Progress(
                    self.stage.name, step, steps, loss if moved[row] else float("nan"), pace * (steps - step)
                )
                self.crowd.progress(member.index, shown)
            leaving += [row for row in self._looked(step, leaving) if row not in leaving]
            self._leave(leaving)
            self.done = step
            stopping = self.crowd.should_stop is not None and self.crowd.should_stop()
            if self.members and (stopping or step % self.crowd.recipe.checkpoint_every == 0):
                self.crowd.ledger.keep_group(self.start, *self.state())
            if stopping:
                self.crowd.stopped = True
                for member in [*self.members, *self.through]:
                    self.crowd.refuse(member, "stopped", f"training was told to stop in the {self.stage.name} stage")
                return []
        for row, member in enumerate(self.members):
            self._keep(row, member)
        return self.through

    def _losses(self, step: int) -> tuple[Tensor, list[int]]:
        """Losses of all voices, V, with their gradients in the table; NaN for the rows, also given, of voices that do
        not fit into memory item by item."""
        batches = [
            self.stage.batch(self.stage.usable(member.train), member.request.seed, step) for member in self.members
        ]
        blocks = [rows[: max(1, len(rows) // m.parts)] for rows, m in zip(batches, self.members, strict=True)]
        losses: list[Tensor] = []
        starved: list[int] = []
        place = 0
        while place < len(blocks):
            block = blocks[place : place + self.at_once]
            own = attempt(lambda block=block, place=place: self._gathered(block, place))  # type: ignore[misc]
            if own is not None:
                losses.append(own[0])
                place += len(block)
            elif self.at_once > 1:
                self.at_once = -(-self.at_once // 2)
            elif len(block[0]) > 1:
                self.members[place].parts *= 2
                blocks[place] = block[0][: len(block[0]) // 2]
            else:
                losses.append(torch.full((1,), torch.nan, device=self.adam.table.device))
                starved.append(place)
                place += 1
        return torch.cat(losses), starved

    def _gathered(self, block: Sequence[Any], place: int) -> Tensor:
        with self.attached.only(place, place + len(block)):
            own = self.stage.losses(block)
            self.adam.gather(own.sum())
        return own.detach()

    @torch.no_grad()
    def _looked(self, step: int, leaving: Sequence[int]) -> list[int]:
        """Rows whose held-out loss has stopped falling."""
        stopping = []
        for row, (member, watch) in enumerate(zip(self.members, self.watches, strict=True)):
            if row in leaving or watch is None or not watch.due(step, self.recipe.steps):
                continue
            rows = self.stage.held(self.stage.usable(member.held))
            total = 0.0
            with self.attached.only(row, row + 1):
                for start in range(0, len(rows), self.recipe.batch):
                    part = rows[start : start + self.recipe.batch]
                    total += float(self.stage.losses([part], judged=True)[0]) * len(part)  # type: ignore[list-item]
            if watch.look(step, total / len(rows), {"row": self.adam.table[row]}):
                stopping.append(row)
                self._keep(row, member)
        return stopping

    def _keep(self, row: int, member: Member) -> None:
        """The voice is done with this stage: take its best adapters along."""
        watch = self.watches[row]
        if watch is not None:
            watch.give_back({"row": self.adam.table[row]})
        member.adapters[self.stage.name] = self.attached.state(row)
        if isinstance(self.stage, AcousticCrowd):
            with self.attached.only(row, row + 1):
                member.style = style(self.stage.model, member.material, self.crowd.device)
        self.through.append(member)

    def _leave(self, rows: Sequence[int]) -> None:
        if not rows:
            return
        stay = [row for row in range(len(self.members)) if row not in rows]
        self.members = [self.members[row] for row in stay]
        self.watches = [self.watches[row] for row in stay]
        self.at_once = max(1, min(self.at_once, len(stay)))
        if stay:
            self.adam.keep(stay)

    # -- going on after a kill -----------------------------------------------------------------------------------------
    def state(self) -> State:
        """All that the rest of this stage, and of the group, depends on."""
        about: dict[str, Any] = {
            "stage": self.stage.name, "step": self.done, "at_once": self.at_once, "members": {},
            "rows": [member.index for member in self.members], "through": [member.index for member in self.through],
        }  # fmt: skip
        tensors = {f"adam.{name}": value.cpu().clone() for name, value in self.adam.state().items()}
        for member in [*self.members, *self.through]:
            about["members"][str(member.index)], own = member.state()
            tensors |= {f"member.{member.index}.{name}": value.contiguous() for name, value in own.items()}
        for member, watch in zip(self.members, self.watches, strict=True):
            if watch is not None:
                tensors |= {f"watch.{member.index}.{k}": v.cpu().clone() for k, v in watch.state_dict().items()}
        return about, tensors

    def restore(self, state: State) -> None:
        """Go on from a state of this stage, whose rows this one was built with. Raises TrainingRefused
        `bad_checkpoint`."""
        about, tensors = state
        try:
            self.adam.restore(part_of(tensors, "adam."))
            for member, watch in zip(self.members, self.watches, strict=True):
                if watch is not None:
                    watch.load_state_dict(part_of(tensors, f"watch.{member.index}."))
            self.at_once, self.done = int(about["at_once"]), int(about["step"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingRefused("bad_checkpoint", "the kept state does not fit this run") from error


def returned(state: State, members: Sequence[Member]) -> tuple[list[Member], list[Member]]:
    """The members as a state has them: those at work, in the order of their rows, and those through its stage.

    Raises TrainingRefused `bad_checkpoint`.
    """
    about, tensors = state
    known = {member.index: member for member in members}
    try:
        for index, own in about["members"].items():
            known[int(index)].restore(own, part_of(tensors, f"member.{index}."))
        return [known[index] for index in about["rows"]], [known[index] for index in about["through"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrainingRefused("bad_checkpoint", "the kept state does not fit this run") from error


def part_of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def style(model: AcousticModel, material: Material, device: str) -> Tensor:
    """Mean style of the readable utterances nearest to REFERENCE_SECONDS, 1 x G x 1 on the CPU."""
    chosen = nearest(material.readable, model.audio.sample_rate)[:STYLE_UTTERANCES]
    specs = [linear(item.wave[None].to(device), model.audio) for item in chosen]
    vectors = [item.speaker_vector for item in chosen]
    speakers = [vector[None].to(device) for vector in vectors if vector is not None] or None
    return model.reference_style(specs, speakers).float().cpu()
