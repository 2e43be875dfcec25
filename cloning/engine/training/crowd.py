"""Many voices in one process: one frozen base on one device, small adapters for every voice.

Requests are taken in groups. A group's material is prepared one voice after the other; then its voices train together,
one forward pass for all of them (training/together), each with its own seed, batches, gradient norm and end. Whoever
cannot be trained leaves with a reason, and the others do not notice. With a store a killed run goes on from its last
checkpoint (training/crowd_store).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from cloning.engine import lowrank
from cloning.engine.acoustic.layers import fold_weight_norm
from cloning.engine.bases import as_voice
from cloning.engine.errors import EngineError, TrainingRefused
from cloning.engine.features.content import ContentEncoder
from cloning.engine.reference import Reference
from cloning.engine.training.adapters import AdapterRecipe, attach
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.crowd_stage import CrowdStage, Member, State, returned
from cloning.engine.training.crowd_store import (
    Answer,
    FolderStore,
    Ledger,
    Refusal,
    Store,
    TrainedVoice,
    VoiceRequest,
    run_fingerprint,
)
from cloning.engine.training.early import divide
from cloning.engine.training.frugal import attempt
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.loop import Progress
from cloning.engine.training.prepare import Material, prepare
from cloning.engine.training.quick import narrow
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.stages import equip
from cloning.engine.training.together import AcousticCrowd, SemanticCrowd
from cloning.engine.training.voice import UNPROMPTED, nearest, one_speaker, outcome
from cloning.engine.voicefile import AdapterVoice, Voice, pack_adapters

__all__ = [
    "CrowdProgress", "FolderStore", "Refusal", "Store", "TrainedVoice", "VoiceRequest", "train_many",
]  # fmt: skip

#: Voices in one group unless told otherwise, on a GPU. On a CPU it is one: there a step of four voices costs as much as
#: four steps of one (measured), so taking turns gives the first voices earlier, and in less memory.
TOGETHER = 16


#: Called after every step with the place of the request in the list.
CrowdProgress = Callable[[int, Progress], None]


class Crowd:
    """What all groups of one call share: the base's models, the recipe, and the answers."""

    def __init__(
        self,
        base: Base,
        recipe: TrainingRecipe,
        hearing: OfficialHearing | None,
        progress: CrowdProgress,
        should_stop: Callable[[], bool] | None,
        device: str,
        ledger: Ledger,
        count: int,
    ) -> None:
        self.base, self.recipe, self.progress, self.device = base, recipe, progress, device
        self.should_stop = should_stop
        self.stopped = False
        self.ledger = ledger
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
        for model in (self.semantic, self.acoustic):
            equip(model, recipe, device)
        self.answers: list[Answer | None] = [ledger.answer(index) for index in range(count)]

    def prepare(self, request: VoiceRequest) -> Material:
        """Raises EngineError."""
        if self.encoder is None:
            self.encoder = self.base.build_content()
        material = request.material or prepare(
            request.recordings, language=request.language, config=self.base.config,
            encoder=self.encoder, codebook=self.base.codebook,
        )  # fmt: skip
        known = self.base.acoustic is not None
        return one_speaker(material, self.acoustic, self.base.config.version) if known else material

    def refuse(self, member: Member | int, code: str, message: str) -> None:
        self.answer(member if isinstance(member, int) else member.index, Refusal(code, message))

    def answer(self, index: int, answer: Answer) -> None:
        self.answers[index] = answer
        if not (isinstance(answer, Refusal) and answer.code == "stopped"):
            self.ledger.keep_answer(index, answer)


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
    store: Store | None = None,
) -> list[Answer]:
    """Train adapters for every request on one base; -> an answer for each, in their order.

    base None: the shipped starter base. `hearing`: the mounted encoders that an official base needs. `together` voices
    at most share a forward pass; when memory does not suffice, fewer do. A voice is what it would be alone: equal bytes
    with `together` 1 on one machine, and within rounding of the products otherwise (floating point adds up in another
    order). `recipe.adapters` None means the default adapters. A voice whose batches do not fit alone trains on smaller
    ones. `store` gets every answer when it is there, and the state of the group at work every `checkpoint_every` steps
    and when stopping; a call with the same store, requests and recipe goes on to the same bytes.
    A voice's refusal carries the codes of `prepare`, or `not_finite`, `out_of_memory`, `stopped`.
    Raises TrainingRefused `bad_recipe` for what only a full fine-tune can do (critics, DPO, the official recipe) and
    `bad_checkpoint` for a store of another run.
    """
    if together is None:
        together = 1 if device == "cpu" else TOGETHER
    _check(recipe, together)
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            base = base or starter_base()
            ledger = Ledger(store, run_fingerprint(requests, recipe, base, together) if store is not None else "")
            crowd = Crowd(base, recipe, hearing, progress, should_stop, device, ledger, len(requests))
            for start in range(0, len(requests), together):
                places = range(start, min(start + together, len(requests)))
                waiting = [place for place in places if crowd.answers[place] is None]
                if waiting and not crowd.stopped:
                    _group(crowd, requests, places)
                else:
                    for index in waiting:
                        crowd.refuse(index, "stopped", "training was told to stop before this voice's turn")
    finally:
        torch.set_num_threads(threads)
    return [answer for answer in crowd.answers if answer is not None]


def _check(recipe: TrainingRecipe, together: int) -> None:
    if together < 1:
        raise ValueError("together must be at least 1")
    if recipe.official is not None or recipe.acoustic.adversarial_from is not None or recipe.semantic.preference:
        raise TrainingRefused("bad_recipe", "critics, DPO and the official recipe need a full fine-tune of one voice")


def _group(crowd: Crowd, requests: Sequence[VoiceRequest], places: range) -> None:
    """Train the voices at these places and answer them.

    A voice that was answered since the group's state was kept is trained once more, to the same answer: the products of
    the others are rounded with it beside them.
    """
    recipe, device, start = crowd.recipe, crowd.device, places.start
    half = narrow(recipe.bfloat16, device)
    kept = crowd.ledger.group(start)
    still = places if kept is None else [place for place in places if str(place) in kept[0].get("members", {})]
    members = _prepared(crowd, requests, still)
    semantic = SemanticCrowd(crowd.semantic, recipe.semantic, bfloat16=half, device=device)
    if kept is not None and kept[0].get("stage") == AcousticCrowd.name:
        members = [member for part in returned(kept, members) for member in part]
    else:
        members = _stage(crowd, semantic, members, start, kept)
        kept = None
    acoustic = AcousticCrowd(crowd.acoustic, recipe.acoustic, bfloat16=half, device=device)
    for member in _stage(crowd, acoustic, members, start, kept):
        _finish(crowd, member)


def _prepared(crowd: Crowd, requests: Sequence[VoiceRequest], places: Sequence[int]) -> list[Member]:
    members = []
    for index in places:
        request = requests[index]
        crowd.progress(index, Progress("prepare", 0, 1, 0.0, 0.0))
        try:
            made = attempt(lambda request=request: crowd.prepare(request))  # type: ignore[misc]
        except EngineError as error:
            crowd.refuse(index, error.code, error.message)
            continue
        if made is None:
            crowd.refuse(index, "out_of_memory", "there is not enough memory to prepare these recordings")
            continue
        material = made[0]
        early = crowd.recipe.early
        train, held = divide(material.items, early) if early else (list(material.items), [])
        members.append(Member(index, request, material, train, held))
        crowd.progress(index, Progress("prepare", 1, 1, 0.0, 0.0))
    return members


def _stage(
    crowd: Crowd, stage: SemanticCrowd | AcousticCrowd, members: list[Member], start: int, kept: State | None
) -> list[Member]:
    """Train one stage of a group, from the start or from a kept state; -> those who got through it, in order, with
    their adapters."""
    through: list[Member] = []
    if kept is not None:
        entered, through = returned(kept, members)
    else:
        entered = []
        for member in members:
            if stage.usable(member.train):
                entered.append(member)
            else:
                crowd.refuse(member, "too_little_speech", "no utterance is long enough to learn the sound from")
    if not entered:
        return through
    attached = attach(stage.model, crowd.adapters, seeds=[member.request.seed for member in entered])
    try:
        training = CrowdStage(crowd, stage, attached, entered, start)
        if kept is not None:
            training.restore(kept)
            training.through = through
        return sorted(training.run(), key=lambda member: member.index)
    finally:
        attached.remove()


def _finish(crowd: Crowd, member: Member) -> None:
    """A trained member's file."""
    assert member.style is not None
    prompt = nearest(member.material.readable, crowd.config.audio.sample_rate)[0]
    nothing = torch.zeros(0, dtype=torch.int64)
    unprompted = crowd.config.version in UNPROMPTED
    reference = Reference(
        phones=nothing if unprompted else prompt.phones,
        codes=nothing if unprompted else prompt.codes,
        style=member.style,
    )
    summary: Mapping[str, int | float | str] = {
        **outcome(member.material),
        "held_out": len(member.held),
        "semantic_steps": member.steps["semantic"],
        "acoustic_steps": member.steps["acoustic"],
        "skipped_steps": member.skipped,
        "batches_halved": member.parts.bit_length() - 1,
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
        crowd.answer(member.index, TrainedVoice(pack_adapters(voice), member.skipped))
    except EngineError as error:
        crowd.refuse(member, error.code, error.message)
