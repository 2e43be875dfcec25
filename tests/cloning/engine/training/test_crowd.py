"""Many voices in one run: each as if it were alone, and a bad one no trouble to the others."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cloning.engine import voicefile
from cloning.engine.bases import as_voice
from cloning.engine.errors import TrainingRefused
from cloning.engine.training.adapters import AdapterRecipe
from cloning.engine.training.base import Base
from cloning.engine.training.crowd import Refusal, TrainedVoice, VoiceRequest, train_many
from cloning.engine.training.early import EarlyStop
from cloning.engine.training.loop import Progress
from cloning.engine.training.prepare import Material, Recording, prepare
from cloning.engine.training.recipe import OfficialRecipe, TrainingRecipe
from cloning.engine.training.together import AcousticCrowd, Heard, SemanticCrowd, Spoken
from tests.cloning.engine.training.conftest import spoken

TINY = TrainingRecipe.tiny()
#: Largest difference of a voice trained beside others from the same voice alone, relative to its adapters' norm.
ROUNDING = 1e-4


def train(
    requests: list[VoiceRequest], base: Base, recipe: TrainingRecipe = TINY, **more: object
) -> list[TrainedVoice | Refusal]:
    options: dict = {"progress": lambda index, progress: None, "together": 16} | more
    return train_many(requests, base=base, recipe=recipe, **options)


@pytest.fixture(scope="module")
def requests(base: Base) -> list[VoiceRequest]:
    """Three voices that differ in how much was said, and how long the sentences are; already prepared."""
    r = list(spoken())
    joined = Recording(np.concatenate([r[0].wave, r[1].wave]), r[0].rate, f"{r[0].transcript} {r[1].transcript}")
    requests = [
        VoiceRequest(r, "en", 3),
        VoiceRequest([joined, *r[2:], r[2]], "en", 4),
        VoiceRequest(r + r[:2], "en", 5),
    ]
    return [dataclasses.replace(request, material=prepare_for(request, base)) for request in requests]


@pytest.fixture(scope="module")
def alone(requests: list[VoiceRequest], base: Base) -> list[TrainedVoice | Refusal]:
    """What each becomes by itself. That training repeats itself to the byte has its own test below."""
    return [train([request], base)[0] for request in requests]


@pytest.fixture(scope="module")
def together(requests: list[VoiceRequest], base: Base) -> list[TrainedVoice | Refusal]:
    """What they become in one run."""
    return train(requests, base)


def prepare_for(request: VoiceRequest, base: Base) -> Material:
    return prepare(
        request.recordings, language="en", config=base.config, encoder=base.build_content(), codebook=base.codebook
    )


def adapters(answer: TrainedVoice | Refusal) -> dict[str, Tensor]:
    assert isinstance(answer, TrainedVoice), answer
    voice = voicefile.unpack_adapters(answer.data)
    return {f"{part}.{k}": v.float() for part in ("semantic", "acoustic") for k, v in getattr(voice, part).items()}


def difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    ups = [name for name in a if name.endswith(".up")]
    gone = math.sqrt(sum(float((a[n] - b[n]).square().sum()) for n in ups))
    return gone / math.sqrt(sum(float(b[n].square().sum()) for n in ups))


def test_every_request_gets_a_voice_that_speaks_with_the_base(requests: list[VoiceRequest], base: Base) -> None:
    told: list[tuple[int, Progress]] = []
    answers = train(requests, base, progress=lambda index, progress: told.append((index, progress)))
    for index, answer in enumerate(answers):
        assert isinstance(answer, TrainedVoice)
        voice = voicefile.unpack(answer.data, base=as_voice(base))
        assert voice.training["seed"] == requests[index].seed
        assert (voice.training["semantic_steps"], voice.training["acoustic_steps"]) == (4, 4)
        assert voice.reference is not None
        assert torch.isfinite(voice.reference.style).all()
        mine = [p for i, p in told if i == index]
        assert [p.stage for p in mine] == ["prepare"] * 2 + ["semantic"] * 4 + ["acoustic"] * 4
        assert all(math.isfinite(p.loss) and p.seconds_left >= 0 for p in mine)
    assert difference(adapters(answers[0]), adapters(answers[2])) > 0.1


def test_one_after_the_other_equals_alone_to_the_byte(
    requests: list[VoiceRequest], base: Base, alone: list[TrainedVoice | Refusal]
) -> None:
    assert train(requests, base, together=1) == alone


@pytest.mark.parametrize("early", [None, EarlyStop(share=0.3, every=2, patience=1)])
def test_together_equals_alone_within_rounding(
    requests: list[VoiceRequest], base: Base, early: EarlyStop | None
) -> None:
    recipe = dataclasses.replace(TINY, early=early)
    for request, answer in zip(requests, train(requests, base, recipe), strict=True):
        alone = train([request], base, recipe)[0]
        assert difference(adapters(answer), adapters(alone)) < ROUNDING
        assert isinstance(answer, TrainedVoice)
        assert isinstance(alone, TrainedVoice)
        theirs, mine = (voicefile.unpack_adapters(a.data) for a in (alone, answer))
        assert mine.training == theirs.training
        torch.testing.assert_close(mine.reference.style, theirs.reference.style, rtol=1e-3, atol=1e-4)


def test_the_same_run_twice_gives_the_same_bytes(
    requests: list[VoiceRequest], base: Base, together: list[TrainedVoice | Refusal]
) -> None:
    state = torch.random.get_rng_state()
    torch.manual_seed(99)
    assert train(requests, base) == together
    torch.random.set_rng_state(state)
    train(requests[:1], base)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_bad_material_is_refused_by_name_and_the_others_do_not_notice(requests: list[VoiceRequest], base: Base) -> None:
    plain = dataclasses.replace(requests[0], material=None)
    bad = [
        dataclasses.replace(plain, recordings=[]),
        dataclasses.replace(plain, recordings=plain.recordings[:1]),
        dataclasses.replace(plain, language="xx"),
    ]
    answers = train([bad[0], plain, bad[1], requests[1], bad[2]], base)
    assert [a.code for a in answers if isinstance(a, Refusal)] == [
        "no_recordings",
        "too_little_speech",
        "unsupported_language",
    ]
    good = train(requests[:2], base)
    assert [answers[1], answers[3]] == good


def spoil(monkeypatch: pytest.MonkeyPatch, seed: int, from_step: int) -> None:
    """From a step on, one voice's batches hold a value that is not a number, as broken features would."""
    plain = SemanticCrowd.batch

    def batch(self: SemanticCrowd, items: list, own: int, step: int) -> list[Spoken]:
        rows = plain(self, items, own, step)
        if own == seed and step >= from_step:
            bad = torch.full((self.model.config.bert_dim, len(rows[0].phones)), math.nan)
            rows = [dataclasses.replace(rows[0], bert=bad), *rows[1:]]
        return rows

    monkeypatch.setattr(SemanticCrowd, "batch", batch)


@pytest.fixture
def listening(base: Base) -> Base:
    """The same base with prosody features, which can be broken from outside."""
    config = dataclasses.replace(base.config, semantic=dataclasses.replace(base.config.semantic, bert_dim=8))
    return dataclasses.replace(base, config=config)


def test_a_voice_whose_values_are_not_finite_fails_alone(
    requests: list[VoiceRequest], listening: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(TINY, most_skipped=1)
    good = [train([request], listening, recipe)[0] for request in requests]
    spoil(monkeypatch, requests[1].seed, 2)
    answers = train(requests, listening, recipe)
    assert isinstance(answers[1], Refusal)
    assert answers[1].code == "not_finite"
    for place in (0, 2):
        assert difference(adapters(answers[place]), adapters(good[place])) < ROUNDING


def test_a_few_bad_steps_are_left_out_and_counted(
    requests: list[VoiceRequest], listening: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, requests[1].seed, 4)
    answers = train(requests, listening)
    assert [a.skipped for a in answers if isinstance(a, TrainedVoice)] == [0, 1, 0]


def test_when_memory_does_not_suffice_fewer_train_at_once(
    requests: list[VoiceRequest],
    base: Base,
    together: list[TrainedVoice | Refusal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, sizes = SemanticCrowd.losses, []

    def losses(self: SemanticCrowd, blocks: list, **options: bool) -> Tensor:
        sizes.append(len(blocks))
        if len(blocks) > 1:
            torch.empty(2**60)  # more than any machine has
        return plain(self, blocks, **options)

    monkeypatch.setattr(SemanticCrowd, "losses", losses)
    answers = train(requests, base)
    assert sizes[:6] == [3, 2, 1, 1, 1, 1]
    for answer, whole in zip(answers, together, strict=True):
        assert difference(adapters(answer), adapters(whole)) < ROUNDING


def test_when_not_even_one_fits_all_are_refused(
    requests: list[VoiceRequest], base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(self: SemanticCrowd, blocks: list, **options: bool) -> Tensor:
        return torch.empty(2**60)

    monkeypatch.setattr(SemanticCrowd, "losses", losses)
    assert [a.code for a in train(requests, base) if isinstance(a, Refusal)] == ["out_of_memory"] * 3


def test_stopping_refuses_what_is_not_done_and_keeps_what_is(
    requests: list[VoiceRequest], base: Base, alone: list[TrainedVoice | Refusal]
) -> None:
    told: list[tuple[int, Progress]] = []

    def stop() -> bool:
        index, progress = told[-1]
        return index == 1 and progress.stage == "acoustic" and progress.step == 2

    answers = train(requests, base, together=1, progress=lambda i, p: told.append((i, p)), should_stop=stop)
    assert answers[0] == alone[0]
    assert [a.code for a in answers[1:] if isinstance(a, Refusal)] == ["stopped", "stopped"]


def test_early_stopping_ends_each_voice_for_itself(requests: list[VoiceRequest], base: Base) -> None:
    recipe = dataclasses.replace(
        TINY,
        semantic=dataclasses.replace(TINY.semantic, steps=24),
        adapters=AdapterRecipe(rank=4, rate=30.0),
        early=EarlyStop(share=0.3, every=2, patience=1),
    )
    answers = train(requests, base, recipe)
    kept = [voicefile.unpack_adapters(a.data).training for a in answers if isinstance(a, TrainedVoice)]
    assert len(kept) == 3
    assert min(int(training["semantic_steps"]) for training in kept) < 24


@pytest.mark.parametrize(
    "change",
    [
        lambda r: {"official": OfficialRecipe()},
        lambda r: {"acoustic": dataclasses.replace(r.acoustic, adversarial_from=2)},
        lambda r: {"semantic": dataclasses.replace(r.semantic, preference=1.0)},
    ],
)
def test_what_needs_a_full_fine_tune_is_refused(base: Base, change: Callable[[TrainingRecipe], dict]) -> None:
    with pytest.raises(TrainingRefused) as refusal:
        train([], base, dataclasses.replace(TINY, **change(TINY)))
    assert refusal.value.code == "bad_recipe"


def test_losses_fall_when_trained_longer(requests: list[VoiceRequest], base: Base) -> None:
    told: list[tuple[int, Progress]] = []
    recipe = dataclasses.replace(
        TINY,
        semantic=dataclasses.replace(TINY.semantic, steps=24),
        acoustic=dataclasses.replace(TINY.acoustic, steps=24),
        adapters=AdapterRecipe(rank=8, rate=10.0),
    )
    train(requests[:1], base, recipe, progress=lambda i, p: told.append((i, p)))
    for index in (0,):
        for stage, share in (("semantic", 0.9), ("acoustic", 0.9)):
            losses = [p.loss for i, p in told if i == index and p.stage == stage]
            assert sum(losses[-4:]) < share * sum(losses[:4])


def test_the_base_is_left_as_it_was(requests: list[VoiceRequest], base: Base) -> None:
    before = {k: v.clone() for k, v in base.content.items()}
    train(requests[:1], base)
    assert all(torch.equal(before[k], v) for k, v in base.content.items())


class Kept(dict[str, bytes]):
    """A store in memory that remembers all that was ever put."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[dict[str, bytes]] = []

    def put(self, name: str, data: bytes) -> None:
        self[name] = data
        self.history.append(dict(self))


@pytest.mark.parametrize("early", [None, EarlyStop(share=0.3, every=1, patience=1)], ids=["plain", "early"])
def test_a_run_goes_on_from_every_checkpoint_to_the_same_bytes(
    requests: list[VoiceRequest], base: Base, early: EarlyStop | None
) -> None:
    recipe = dataclasses.replace(TINY, early=early, checkpoint_every=1, adapters=AdapterRecipe(rank=2))
    store = Kept()
    whole = train(requests[:2], base, recipe, store=store)
    assert whole == train(requests[:2], base, recipe)
    for moment in (*store.history[::3], store.history[-2]):
        resumed = Kept()
        resumed.update(moment)
        assert train(requests[:2], base, recipe, store=resumed) == whole


def test_a_stopped_run_goes_on(requests: list[VoiceRequest], base: Base) -> None:
    told: list[Progress] = []
    store = Kept()
    stopped = train(
        requests[:2], base, together=1, store=store, progress=lambda i, p: told.append(p),
        should_stop=lambda: told[-1].stage == "acoustic" and told[-1].step == 3,
    )  # fmt: skip
    assert [a.code for a in stopped if isinstance(a, Refusal)] == ["stopped", "stopped"]
    assert set(store) == {"group"}
    assert train(requests[:2], base, together=1, store=store) == train(requests[:2], base, together=1)


def test_a_store_of_another_run_is_refused(requests: list[VoiceRequest], base: Base) -> None:
    store = Kept()
    train(requests[:1], base, store=store)
    others: list[tuple[list[VoiceRequest], TrainingRecipe]] = [
        ([dataclasses.replace(requests[0], seed=9)], TINY),
        (requests[:2], TINY),
        (requests[:1], dataclasses.replace(TINY, bfloat16=True)),
    ]
    for changed, recipe in others:
        with pytest.raises(TrainingRefused) as refusal:
            train(changed, base, recipe, store=store)
        assert refusal.value.code == "bad_checkpoint"
    store["answer-0"] = store["answer-0"][:100]
    with pytest.raises(TrainingRefused, match="bad_checkpoint"):
        train(requests[:1], base, store=store)


def test_recomputing_gives_the_same_voices(
    requests: list[VoiceRequest], base: Base, together: list[TrainedVoice | Refusal]
) -> None:
    assert train(requests, base, dataclasses.replace(TINY, recompute=True)) == together


def test_a_voice_too_large_for_the_memory_trains_on_smaller_batches_or_leaves_alone(
    requests: list[VoiceRequest],
    base: Base,
    alone: list[TrainedVoice | Refusal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The voice of the middle fits with one item at a time, then not at all; its neighbours do not notice."""
    plain = AcousticCrowd.losses
    voice = {id(item) for item in requests[1].material.items}  # type: ignore[union-attr]

    def scarce(most: int) -> None:
        def losses(self: AcousticCrowd, blocks: list[list[Heard]], **options: bool) -> Tensor:
            if any(id(row.item) in voice and len(block) > most for block in blocks for row in block):
                raise torch.OutOfMemoryError
            return plain(self, blocks, **options)

        monkeypatch.setattr(AcousticCrowd, "losses", losses)

    for most in (1, 0):
        scarce(most)
        answers = train(requests, base, together=3)
        for place in (0, 2):
            assert difference(adapters(answers[place]), adapters(alone[place])) < ROUNDING
        if most:
            assert isinstance(answers[1], TrainedVoice)
            assert voicefile.unpack_adapters(answers[1].data).training["batches_halved"] == 1
        else:
            assert isinstance(answers[1], Refusal)
            assert answers[1].code == "out_of_memory"
