import dataclasses

import pytest
import torch
from torch import nn

from cloning.engine import voicefile
from cloning.engine.errors import TrainingFailed
from cloning.engine.training.base import Base
from cloning.engine.training.frugal import Frugal, out_of_memory
from cloning.engine.training.prepare import Recording, prepare
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.semantic import SemanticStage
from cloning.engine.training.voice import train_voice

TINY = TrainingRecipe.tiny()
RECIPE = dataclasses.replace(TINY.semantic, batch=4, paired=0.0)


@pytest.fixture
def stage(recordings: list[Recording], base: Base) -> SemanticStage:
    material = prepare(
        recordings, language="en", config=base.config, encoder=base.build_content(), codebook=base.codebook
    )
    return SemanticStage(base.build_semantic(1), material.items, RECIPE, bfloat16=False, device="cpu")


def limit(model: nn.Module, rows: int, error: type[BaseException] = torch.OutOfMemoryError) -> None:
    """From now on a batch of more than `rows` does not fit."""

    def check(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].shape[0] > rows:
            raise error("no memory")

    model.register_forward_pre_hook(check)


def advance(stage: Frugal, step: int = 1) -> float | None:
    import numpy as np

    torch.manual_seed(7)
    return stage.advance(step, np.random.default_rng(7), torch.Generator().manual_seed(7))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_the_batch_shrinks_until_it_fits_and_stays_small(stage: SemanticStage, error: type[BaseException]) -> None:
    limit(stage.model, 1, error)
    frugal = Frugal(stage)
    assert advance(frugal) is not None
    assert frugal.halved == 2
    assert stage.recipe.batch == 1
    assert advance(frugal, 2) is not None
    assert frugal.halved == 2


def test_the_repeated_step_is_the_step_of_a_smaller_batch(
    stage: SemanticStage, recordings: list[Recording], base: Base
) -> None:
    small = SemanticStage(
        base.build_semantic(1), stage.items, dataclasses.replace(RECIPE, batch=2), bfloat16=False, device="cpu"
    )
    limit(stage.model, 2)
    assert advance(Frugal(stage)) == advance(Frugal(small))
    for one, other in zip(stage.model.parameters(), small.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_does_not_fit_item_by_item_fails_by_name(stage: SemanticStage) -> None:
    limit(stage.model, 0)
    with pytest.raises(TrainingFailed) as caught:
        advance(Frugal(stage))
    assert caught.value.code == "out_of_memory"


def test_other_errors_are_not_swallowed(stage: SemanticStage) -> None:
    limit(stage.model, 0, RuntimeError)
    with pytest.raises(RuntimeError, match="no memory"):
        advance(Frugal(stage))
    assert stage.recipe.batch == 4


def test_torch_says_so_when_the_memory_of_the_machine_ends() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("something else"))


def test_a_smaller_batch_is_in_the_summary_and_in_the_checkpoint(
    recordings: list[Recording], base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = base.build_semantic

    def short_of_memory(seed: int):  # type: ignore[no-untyped-def]
        model = plain(seed)
        limit(model, 2)
        return model

    scarce = dataclasses.replace(base)
    object.__setattr__(scarce, "build_semantic", short_of_memory)
    recipe = dataclasses.replace(TINY, semantic=RECIPE)
    kept: list[bytes] = []
    data = train_voice(
        recordings, language="en", recipe=recipe, base=scarce, seed=1, progress=lambda p: None, checkpoint=kept.append
    )
    assert voicefile.unpack(data).training["batches_halved"] == 1
    again = train_voice(
        recordings, language="en", recipe=recipe, base=base, seed=1, progress=lambda p: None, resume=kept[0]
    )
    assert again == data
