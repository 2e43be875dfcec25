"""Options of the default recipe: recomputation, bfloat16, frozen and slow parts, preference, the same seed twice."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.batches import prosody, speakers
from cloning.engine.training.groups import groups
from cloning.engine.training.loop import Stage
from cloning.engine.training.memory import recompute
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.semantic import SemanticStage, log_likelihood
from cloning.engine.training.stages import build_stages
from tests.cloning.engine.processor import needs_bfloat16
from tests.cloning.engine.training.made import CONFIG, base, finish, items, same

LENGTHS = (20, 24, 30, 36)
TINY = TrainingRecipe.tiny()


def stages(recipe: TrainingRecipe, dropout: float = 0.2) -> list[Stage]:
    config = dataclasses.replace(
        CONFIG,
        semantic=dataclasses.replace(CONFIG.semantic, dropout=dropout),
        acoustic=dataclasses.replace(CONFIG.acoustic, dropout=dropout),
    )
    start = dataclasses.replace(base(), config=config)
    return build_stages(
        recipe, start.build_semantic(1), start.build_acoustic(1), items(LENGTHS), config=config, device="cpu", seed=1
    )


def ends(recipe: TrainingRecipe) -> list[torch.nn.Module]:
    made = stages(recipe)
    for stage in made:
        finish(stage)
    return [module for stage in made for module in stage.modules().values()]


CRITICS = dataclasses.replace(TINY, acoustic=dataclasses.replace(TINY.acoustic, adversarial_from=0))


@pytest.mark.parametrize("narrow", [False, pytest.param(True, marks=needs_bfloat16)], ids=["float32", "bfloat16"])
def test_recomputing_changes_nothing_but_memory(narrow: bool) -> None:
    recipe = dataclasses.replace(CRITICS, bfloat16=narrow)
    plain, again = ends(recipe), ends(dataclasses.replace(recipe, recompute=True))
    assert len(plain) == 3
    assert all(same(a, b) for a, b in zip(plain, again, strict=True))


def kept_numbers(model: torch.nn.Module) -> int:
    """How many numbers a training pass of S1 keeps for the backward pass."""
    kept: list[int] = []

    def note(value: torch.Tensor) -> torch.Tensor:
        kept.append(value.numel())
        return value

    one = items([40])[0]
    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        model(one.phones[None], torch.tensor([len(one.phones)]), one.codes[None], torch.tensor([40]))
    return sum(kept)


def test_recomputing_keeps_less() -> None:
    model = base().build_semantic(1)
    plain = kept_numbers(model)
    recompute(model)
    recompute(model)
    assert kept_numbers(model) < 0.6 * plain


@pytest.mark.parametrize("narrow", [False, pytest.param(True, marks=needs_bfloat16)], ids=["float32", "bfloat16"])
def test_one_seed_is_one_result(narrow: bool) -> None:
    recipe = dataclasses.replace(CRITICS, bfloat16=narrow)
    first, second = ends(recipe), ends(recipe)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert all(value.dtype == torch.float32 for module in first for value in module.parameters())
    assert narrow == (not same(first[0], ends(CRITICS)[0]))


def test_frozen_parts_do_not_move_and_slow_ones_move_less() -> None:
    recipe = dataclasses.replace(
        TINY,
        semantic=dataclasses.replace(TINY.semantic, text_rate=0.0, frozen=("h.layers.0.",)),
        acoustic=dataclasses.replace(TINY.acoustic, text_rate=0.0, frozen=("flow.",)),
    )
    start = [base().build_semantic(1), base().build_acoustic(1)]
    for before, after in zip(start, ends(recipe), strict=True):
        old = before.state_dict()
        still = ("ar_text", "h.layers.0.", "enc_p.text_embedding", "enc_p.encoder_text", "enc_p.mrte", "flow.")
        moved = {name for name, value in after.state_dict().items() if not torch.equal(value, old[name])}
        assert moved
        assert not any(name.startswith(still) for name in moved)


def test_groups_name_every_trained_parameter_once() -> None:
    model = base().build_acoustic(1)
    made = groups(model, 1e-3, {("enc_p.mrte",): 0.5, ("flow.",): 0.0}, frozen=("dec.ups",))
    assert [group["peak"] for group in made] == [1e-3, 5e-4]
    held = [id(value) for group in made for value in group["params"]]
    trained = [id(value) for value in model.parameters() if value.requires_grad]
    assert sorted(held) == sorted(trained)
    assert not any(value.requires_grad for value in model.flow.parameters())
    with pytest.raises(ValueError, match="frozen"):
        groups(model, 1e-3, {("",): 0.0})
    with pytest.raises(ValueError, match="rate"):
        groups(model, 1e-3, {("dec",): -1.0})


def test_preference_teaches_to_prefer_the_sentence_to_its_spoiled_copy() -> None:
    pool = items(LENGTHS)
    recipe = dataclasses.replace(TINY.semantic, steps=30, batch=8, learning_rate=3e-3, paired=0.0)
    margins = {}
    for weight in (0.0, 3.0):
        model = base().build_semantic(1)
        finish(SemanticStage(model, pool, dataclasses.replace(recipe, preference=weight), bfloat16=False, device="cpu"))
        model.eval()
        one = pool[2]
        worse = torch.cat((one.codes[:20], one.codes[10:]))
        told = []
        for codes in (one.codes, worse):
            lengths = torch.tensor([len(codes)])
            out = model(one.phones[None], torch.tensor([len(one.phones)]), codes[None], lengths)
            told.append(float(log_likelihood(out, codes[None], lengths, CONFIG.semantic.eos).detach()))
        margins[weight] = told[0] - told[1]
    assert margins[3.0] > margins[0.0]


def test_log_likelihood_leaves_the_padding_out() -> None:
    model = base().build_semantic(1).eval()
    short, long = items([20, 30])
    phones = torch.nn.utils.rnn.pad_sequence([short.phones, long.phones], batch_first=True)
    codes = torch.nn.utils.rnn.pad_sequence([short.codes, long.codes], batch_first=True)
    lengths = torch.tensor([20, 30])
    out = model(phones, torch.tensor([len(short.phones), len(long.phones)]), codes, lengths, reduction="sum")
    both = log_likelihood(out, codes, lengths, CONFIG.semantic.eos)
    torch.testing.assert_close(-both.sum(), out.loss)
    alone = model(short.phones[None], torch.tensor([len(short.phones)]), short.codes[None], lengths[:1])
    torch.testing.assert_close(log_likelihood(alone, short.codes[None], lengths[:1], CONFIG.semantic.eos), both[:1])


def test_critics_can_start_from_given_weights() -> None:
    model = base().build_acoustic(1)
    recipe = dataclasses.replace(TINY.acoustic, adversarial_from=0)
    first = AcousticStage(model, items(LENGTHS), recipe, bfloat16=False, device="cpu", seed=3)
    assert first.critics is not None
    second = AcousticStage(
        model, items(LENGTHS), recipe, bfloat16=False, device="cpu", seed=4, critics=first.critics.state_dict()
    )
    assert second.critics is not None
    assert same(first.critics, second.critics)


def test_prosody_and_speaker_vectors_reach_the_models() -> None:
    config = dataclasses.replace(
        CONFIG,
        semantic=dataclasses.replace(CONFIG.semantic, bert_dim=4),
        acoustic=dataclasses.replace(CONFIG.acoustic, speaker_dim=6),
    )
    start = dataclasses.replace(base(), config=config)

    def ended(recipe: TrainingRecipe, scale: float) -> list[torch.nn.Module]:
        pool = [
            dataclasses.replace(one, bert=scale * torch.ones(4, len(one.phones)), speaker_vector=scale * torch.ones(6))
            for one in items(LENGTHS)
        ]
        made = build_stages(
            recipe, start.build_semantic(1), start.build_acoustic(1), pool, config=config, device="cpu", seed=1
        )
        for stage in made:
            finish(stage, stop=1)
        return [stage.modules()[stage.name] for stage in made]

    for recipe in (TINY, TrainingRecipe.upstream(batch=4, semantic_epochs=1, acoustic_epochs=1)):
        first, second = ended(recipe, 1.0), ended(recipe, 2.0)
        assert not any(same(a, b) for a, b in zip(first, second, strict=True))


def test_prosody_lies_under_its_phones() -> None:
    first, second = items([20, 30])
    second = dataclasses.replace(second, bert=torch.ones(3, len(second.phones)))
    rows = prosody([[first, second], [first]], dim=3, width=40)
    assert rows is not None
    assert rows.shape == (2, 3, 40)
    start = len(first.phones)
    assert float(rows.sum()) == 3 * len(second.phones)
    assert bool((rows[0, :, start : start + len(second.phones)] == 1).all())
    assert prosody([[first]], dim=3, width=40) is None
    assert prosody([[second]], dim=0, width=40) is None
    with pytest.raises(ValueError, match="speaker vector"):
        speakers([first], dim=6)
