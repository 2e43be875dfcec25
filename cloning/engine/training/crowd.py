"""Many voices in one process: one frozen base on one device, small adapters for every voice.

Requests are taken in groups. A group's material is prepared one voice after the other; then its voices train together,
one forward pass for all of them (training/together), each with its own seed, batches, gradient norm and end. Whoever
cannot be trained leaves with a reason, and the others do not notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cloning.engine import lowrank
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.layers import fold_weight_norm
from cloning.engine.bases import as_voice
from cloning.engine.errors import EngineError, TrainingRefused
from cloning.engine.features.content import ContentEncoder
from cloning.engine.features.spectrogram import linear
from cloning.engine.reference import Reference
from cloning.engine.training.adapters import AdapterRecipe, Attached, attach
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.early import Watch, divide
from cloning.engine.training.groups import ACOUSTIC_TEXT
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.loop import Progress, rate_at
from cloning.engine.training.prepare import Item, Material, Recording, prepare
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.row_adam import RowAdam
from cloning.engine.training.together import AcousticCrowd, SemanticCrowd
from cloning.engine.training.voice import REFERENCE_SECONDS, STYLE_UTTERANCES, UNPROMPTED
from cloning.engine.voicefile import AdapterVoice, Voice, pack_adapters

#: Voices in one group unless told otherwise, on a GPU. On a CPU it is one: there a step of four voices costs as much as
#: four steps of one (measured), so taking turns gives the first voices earlier, and in less memory.
TOGETHER = 16


@dataclass(frozen=True)
class VoiceRequest:
    """One voice to be trained. `seed` decides everything random about it, whoever trains beside it.

    `material`: the recordings as `prepare` has made them ready for this base; `recordings` are not looked at then.
    """

    recordings: Sequence[Recording]
    language: str
    seed: int
    material: Material | None = None


@dataclass(frozen=True)
class TrainedVoice:
    """`data`: the bytes of a voice file of adapters (voicefile.unpack with the base). `skipped`: steps left out."""

    data: bytes
    skipped: int


@dataclass(frozen=True)
class Refusal:
    """Why there is no voice: a stable `code` and a plain sentence, as in EngineError."""

    code: str
    message: str


#: Called after every step with the place of the request in the list.
CrowdProgress = Callable[[int, Progress], None]


@dataclass
class _Member:
    index: int
    request: VoiceRequest
    material: Material
    train: list[Item]
    held: list[Item]
    skipped: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    adapters: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    style: Tensor | None = None


class _Crowd:
    """What all groups of one call share: the base's models, the recipe, and the answers."""

    def __init__(
        self,
        base: Base,
        recipe: TrainingRecipe,
        hearing: OfficialHearing | None,
        progress: CrowdProgress,
        should_stop: Callable[[], bool] | None,
        device: str,
        count: int,
    ) -> None:
        self.base, self.recipe, self.progress, self.device = base, recipe, progress, device
        self.should_stop = should_stop
        self.stopped = False
        self.adapters = recipe.adapters or AdapterRecipe()
        whole: Voice = as_voice(base)
        self.config = whole.config
        self.digest = lowrank.base_digest(whole.semantic, whole.acoustic)
        self.encoder: ContentEncoder | OfficialHearing | None = hearing
        # Evaluation mode: see together. Weight normalisation is folded, for a frozen weight needs no second form.
        self.semantic = base.build_semantic(0).eval().to(device)
        self.acoustic = base.build_acoustic(0).eval()
        fold_weight_norm(self.acoustic)
        self.acoustic.to(device)
        self.answers: list[TrainedVoice | Refusal | None] = [None] * count

    def prepare(self, request: VoiceRequest) -> Material:
        """Raises EngineError."""
        if self.encoder is None:
            self.encoder = self.base.build_content()
        return prepare(
            request.recordings, language=request.language, config=self.base.config,
            encoder=self.encoder, codebook=self.base.codebook,
        )  # fmt: skip

    def refuse(self, member: _Member | int, code: str, message: str) -> None:
        self.answers[member if isinstance(member, int) else member.index] = Refusal(code, message)


def train_many(
    requests: Sequence[VoiceRequest],
    *,
    base: Base | None,
    recipe: TrainingRecipe,
    progress: CrowdProgress,
    hearing: OfficialHearing | None = None,
    together: int | None = None,
    device: str = "cpu",
    should_stop: Callable[[], bool] | None = None,
) -> list[TrainedVoice | Refusal]:
    """Train adapters for every request on one base; -> an answer for each, in their order.

    base None: the shipped starter base. `hearing`: the mounted encoders that an official base needs. `together` voices
    at most share a forward pass; when memory does not suffice, fewer do. A voice is what it would be alone: equal bytes
    with `together` 1 on one machine, and within rounding of the products otherwise (floating point adds up in another
    order). `recipe.adapters` None means the default adapters; `checkpoint_every` and `recompute` do not apply here.
    A voice's refusal carries the codes of `prepare`, or `not_finite`, `out_of_memory`, `stopped`.
    Raises TrainingRefused `bad_recipe` for what only a full fine-tune can do (critics, DPO, the official recipe).
    """
    if together is None:
        together = 1 if device == "cpu" else TOGETHER
    _check(recipe, together)
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            crowd = _Crowd(base or starter_base(), recipe, hearing, progress, should_stop, device, len(requests))
            for start in range(0, len(requests), together):
                if crowd.stopped:
                    for index in range(start, len(requests)):
                        crowd.refuse(index, "stopped", "training was told to stop before this voice's turn")
                    break
                members = _prepared(crowd, requests, range(start, min(start + together, len(requests))))
                semantic = SemanticCrowd(crowd.semantic, recipe.semantic, bfloat16=recipe.bfloat16, device=device)
                members = _stage(crowd, semantic, members)
                acoustic = AcousticCrowd(crowd.acoustic, recipe.acoustic, bfloat16=recipe.bfloat16, device=device)
                for member in _stage(crowd, acoustic, members):
                    _finish(crowd, member)
    finally:
        torch.set_num_threads(threads)
    return [answer for answer in crowd.answers if answer is not None]


def _check(recipe: TrainingRecipe, together: int) -> None:
    if together < 1:
        raise ValueError("together must be at least 1")
    if recipe.official is not None or recipe.acoustic.adversarial_from is not None or recipe.semantic.preference:
        raise TrainingRefused("bad_recipe", "critics, DPO and the official recipe need a full fine-tune of one voice")


def _prepared(crowd: _Crowd, requests: Sequence[VoiceRequest], places: range) -> list[_Member]:
    members = []
    for index in places:
        request = requests[index]
        crowd.progress(index, Progress("prepare", 0, 1, 0.0, 0.0))
        try:
            material = request.material or crowd.prepare(request)
        except EngineError as error:
            crowd.refuse(index, error.code, error.message)
            continue
        early = crowd.recipe.early
        train, held = divide(material.items, early) if early else (list(material.items), [])
        members.append(_Member(index, request, material, train, held))
        crowd.progress(index, Progress("prepare", 1, 1, 0.0, 0.0))
    return members


def _stage(crowd: _Crowd, stage: SemanticCrowd | AcousticCrowd, members: list[_Member]) -> list[_Member]:
    """Train one stage of a group; -> those who got through it, in order, with their adapters."""
    entered = []
    for member in members:
        if stage.usable(member.train):
            entered.append(member)
        else:
            crowd.refuse(member, "too_little_speech", "no utterance is long enough to learn the sound from")
    if not entered:
        return []
    attached = attach(stage.model, crowd.adapters, seeds=[member.request.seed for member in entered])
    try:
        through = _Training(crowd, stage, attached, entered).run()
    finally:
        attached.remove()
    return sorted(through, key=lambda member: member.index)


class _Training:
    """One stage of one group. Row r of every table is `self.members[r]`; rows go as voices are done or fail."""

    def __init__(
        self, crowd: _Crowd, stage: SemanticCrowd | AcousticCrowd, attached: Attached, members: list[_Member]
    ) -> None:
        self.crowd, self.stage, self.attached, self.members = crowd, stage, attached, list(members)
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
        self.through: list[_Member] = []

    def _rate_of(self, name: str) -> float:
        if name.startswith(self.recipe.frozen):
            return 0.0
        return self.recipe.text_rate if self.stage.name == "acoustic" and name.startswith(ACOUSTIC_TEXT) else 1.0

    def run(self) -> list[_Member]:
        steps, began = self.recipe.steps, time.monotonic()
        for step in range(1, steps + 1):
            if not self.members:
                break
            losses = self._losses(step)
            if losses is None:
                break
            share = rate_at(step, steps=steps, warm_up=self.recipe.warm_up, final=self.recipe.final)
            moved = self.adam.step(losses, share)
            pace = (time.monotonic() - began) / step
            leaving = []
            for row, (member, loss) in enumerate(zip(self.members, losses.tolist(), strict=True)):
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
            leaving += [row for row in self._looked(step) if row not in leaving]
            self._leave(leaving)
            if self.crowd.should_stop is not None and self.crowd.should_stop():
                self.crowd.stopped = True
                for member in [*self.members, *self.through]:
                    self.crowd.refuse(member, "stopped", f"training was told to stop in the {self.stage.name} stage")
                return []
        for row, member in enumerate(self.members):
            self._keep(row, member)
        return self.through

    def _losses(self, step: int) -> Tensor | None:
        """Losses of all voices, V, with their gradients in the table; None when not even one fits into memory."""
        batches = [
            self.stage.batch(self.stage.usable(member.train), member.request.seed, step) for member in self.members
        ]
        while True:
            try:
                losses = []
                for start in range(0, len(batches), self.at_once):
                    block = batches[start : start + self.at_once]
                    with self.attached.only(start, start + len(block)):
                        own = self.stage.losses(block)  # type: ignore[arg-type]
                        self.adam.gather(own.sum())
                    losses.append(own.detach())
                return torch.cat(losses)
            except (MemoryError, RuntimeError) as error:
                if not _no_memory(error):
                    raise
            self.adam.forget()
            if self.at_once == 1:
                for member in self.members:
                    self.crowd.refuse(member, "out_of_memory", "there is not enough memory to train this voice")
                self.members = []
                return None
            self.at_once = -(-self.at_once // 2)

    @torch.no_grad()
    def _looked(self, step: int) -> list[int]:
        """Rows whose held-out loss has stopped falling."""
        stopping = []
        for row, (member, watch) in enumerate(zip(self.members, self.watches, strict=True)):
            if watch is None or not watch.due(step, self.recipe.steps):
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

    def _keep(self, row: int, member: _Member) -> None:
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


@torch.no_grad()
def style(model: AcousticModel, material: Material, device: str) -> Tensor:
    """Mean style of the readable utterances nearest to REFERENCE_SECONDS, 1 x G x 1 on the CPU."""
    chosen = _ordered(material, model.audio.sample_rate)[:STYLE_UTTERANCES]
    specs = [linear(item.wave[None].to(device), model.audio) for item in chosen]
    vectors = [item.speaker_vector for item in chosen]
    speakers = [vector[None].to(device) for vector in vectors if vector is not None] or None
    return model.reference_style(specs, speakers).float().cpu()


def _ordered(material: Material, rate: int) -> list[Item]:
    return sorted(material.readable, key=lambda item: abs(len(item.wave) / rate - REFERENCE_SECONDS))


def _finish(crowd: _Crowd, member: _Member) -> None:
    """A trained member's file."""
    assert member.style is not None
    prompt = _ordered(member.material, crowd.config.audio.sample_rate)[0]
    nothing = torch.zeros(0, dtype=torch.int64)
    unprompted = crowd.config.version in UNPROMPTED
    reference = Reference(
        phones=nothing if unprompted else prompt.phones,
        codes=nothing if unprompted else prompt.codes,
        style=member.style,
    )
    summary: Mapping[str, int | float | str] = {
        "speech_seconds": round(member.material.speech_seconds, 2),
        "dropped_seconds": round(member.material.dropped_seconds, 2),
        "utterances": len(member.material.items),
        "held_out": len(member.held),
        "semantic_steps": member.steps["semantic"],
        "acoustic_steps": member.steps["acoustic"],
        "skipped_steps": member.skipped,
        "seed": member.request.seed,
    }
    voice = AdapterVoice(
        config=crowd.config,
        language=member.request.language,
        rank=crowd.adapters.rank,
        alpha=crowd.adapters.alpha,
        semantic=member.adapters["semantic"],
        acoustic=member.adapters["acoustic"],
        reference=reference,
        base_digest=crowd.digest,
        training=summary,
    )
    try:
        crowd.answers[member.index] = TrainedVoice(pack_adapters(voice), member.skipped)
    except EngineError as error:
        crowd.refuse(member, error.code, error.message)


def _no_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory; the CPU's allocator has no error of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
