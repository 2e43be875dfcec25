import dataclasses
import math

import pytest
import torch

from cloning.engine import voicefile
from cloning.engine.bases import as_voice
from cloning.engine.errors import TrainingFailed, TrainingRefused
from cloning.engine.text.phones import to_phones
from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.adapters import AdapterRecipe
from cloning.engine.training.base import Base
from cloning.engine.training.early import EarlyStop
from cloning.engine.training.loop import Progress
from cloning.engine.training.prepare import Recording, prepare
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import fitted, reference, train_voice

TINY = TrainingRecipe.tiny()


def train(recordings: list[Recording], base: Base, **changes: object) -> bytes:
    arguments: dict = {"language": "en", "recipe": TINY, "base": base, "seed": 3, "progress": lambda p: None}
    return train_voice(recordings, **(arguments | changes))


def test_a_minute_becomes_a_voice_that_can_be_read_back(recordings: list[Recording], base: Base) -> None:
    told: list[Progress] = []
    voice = voicefile.unpack(train(recordings, base, progress=told.append))
    assert [p.stage for p in told] == ["prepare"] * 2 + ["semantic"] * 4 + ["acoustic"] * 4
    assert [p.step for p in told if p.stage == "acoustic"] == [1, 2, 3, 4]
    assert all(math.isfinite(p.loss) and p.seconds_left >= 0 for p in told)
    assert voice.training["utterances"] == 5
    assert voice.reference is not None
    assert voice.reference.codes.numel() == 0
    assert voice.content is None
    trained = voice.build_semantic()
    assert not torch.equal(trained.ar_predict_layer.weight, base.build_semantic(3).ar_predict_layer.weight)


def test_an_official_voice_keeps_a_prompt_that_was_said(recordings: list[Recording], base: Base) -> None:
    material = prepare(
        recordings, language="en", config=base.config, encoder=base.build_content(), codebook=base.codebook
    )
    kept = reference(base.build_acoustic(1).eval(), material, "v2")
    place = [to_phones(str(r.transcript), "en").ids for r in recordings].index(kept.phones.tolist())
    assert torch.equal(kept.codes, material.items[place].codes)


def speaking(base: Base) -> Base:
    """The base with (random) models of its own."""
    return dataclasses.replace(
        base, semantic=base.build_semantic(1).state_dict(), acoustic=base.build_acoustic(1).state_dict()
    )


def test_only_a_full_fine_tune_of_a_starter_that_speaks_is_listened_to(base: Base) -> None:
    heard = fitted(TINY, speaking(base))
    assert heard.acoustic == dataclasses.replace(TINY.acoustic, listening=20.0, periodicity=80.0)
    assert dataclasses.replace(heard, acoustic=TINY.acoustic) == TINY
    # A base that knows nothing has nothing to go on with.
    assert fitted(TINY, base) is TINY
    for other in (TrainingRecipe.upstream(), dataclasses.replace(TINY, adapters=AdapterRecipe())):
        assert fitted(other, speaking(base)) is other
    official = dataclasses.replace(base.config, version="v2")
    assert fitted(TINY, dataclasses.replace(speaking(base), config=official)) is TINY


def test_who_listens_changes_the_sound_and_nothing_else(
    recordings: list[Recording], base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = speaking(base)
    heard = voicefile.unpack(train(recordings, able))
    monkeypatch.setattr("cloning.engine.training.voice.LISTENING", 0.0)
    unheard = voicefile.unpack(train(recordings, able))
    assert all(torch.equal(value, unheard.semantic[name]) for name, value in heard.semantic.items())
    moved = {name for name, value in heard.acoustic.items() if not torch.equal(value, unheard.acoustic[name])}
    assert any(name.startswith("dec.") for name in moved)


def test_nobody_listens_without_a_listener(base: Base) -> None:
    recipe = dataclasses.replace(TINY.acoustic, listening=1.0)
    with pytest.raises(ValueError, match="listener"):
        AcousticStage(base.build_acoustic(1), [], recipe, bfloat16=False, device="cpu", seed=1)


def test_the_codebook_is_not_moved(recordings: list[Recording], base: Base) -> None:
    voice = voicefile.unpack(train(recordings, base))
    assert torch.equal(voice.build_acoustic().quantizer.book.embed, base.codebook.half().float())


def test_one_seed_is_one_voice(recordings: list[Recording], base: Base) -> None:
    state = torch.random.get_rng_state()
    first = train(recordings, base)
    torch.manual_seed(99)
    assert train(recordings, base) == first
    assert train(recordings, base, seed=4) != first
    torch.random.set_rng_state(state)
    train(recordings, base)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("narrow", [False, True], ids=["float32", "bfloat16"])
def test_a_resumed_training_ends_in_the_same_voice(recordings: list[Recording], base: Base, narrow: bool) -> None:
    kept: list[bytes] = []
    recipe = dataclasses.replace(TINY, bfloat16=narrow)
    whole = train(recordings, base, recipe=recipe, checkpoint=kept.append)
    assert len(kept) == 2
    for state in kept:
        assert train(recordings, base, recipe=recipe, resume=state) == whole


def test_stopping_leaves_a_checkpoint_to_continue_from(recordings: list[Recording], base: Base) -> None:
    kept: list[bytes] = []
    steps: list[Progress] = []
    with pytest.raises(TrainingFailed) as caught:
        train(
            recordings, base, progress=steps.append, checkpoint=kept.append,
            should_stop=lambda: steps[-1].stage == "acoustic" and steps[-1].step == 3,
        )  # fmt: skip
    assert caught.value.code == "stopped"
    assert train(recordings, base, resume=kept[-1]) == train(recordings, base)


def test_a_foreign_or_damaged_checkpoint_is_refused(recordings: list[Recording], base: Base) -> None:
    kept: list[bytes] = []
    train(recordings, base, checkpoint=kept.append)
    cases = [
        (kept[0], {"seed": 4}),
        (kept[0], {"recipe": dataclasses.replace(TINY, bfloat16=True)}),
        (kept[0][: len(kept[0]) // 2], {}),
        (b"", {}),
        (b"\xff" * 64, {}),
        (b"\x80\x04K\x01.", {}),
    ]
    for state, changes in cases:
        with pytest.raises(TrainingRefused) as caught:
            train(recordings, base, resume=state, **changes)
        assert caught.value.code == "bad_checkpoint"


def test_training_that_never_is_finite_fails(recordings: list[Recording], base: Base) -> None:
    broken = dataclasses.replace(TINY, most_skipped=2)
    with torch.random.fork_rng():
        weights = dict(base.build_semantic(1).state_dict())
    weights["ar_predict_layer.weight"] = torch.full_like(weights["ar_predict_layer.weight"], math.nan)
    with pytest.raises(TrainingFailed) as caught:
        train(recordings, dataclasses.replace(base, semantic=weights), recipe=broken)
    assert caught.value.code == "not_finite"


def test_critics_take_part_from_their_step_on(recordings: list[Recording], base: Base) -> None:
    plain = voicefile.unpack(train(recordings, base))
    recipe = dataclasses.replace(TINY, acoustic=dataclasses.replace(TINY.acoustic, adversarial_from=3))
    kept: list[bytes] = []
    judged = voicefile.unpack(train(recordings, base, recipe=recipe, checkpoint=kept.append))
    assert any(not torch.equal(judged.acoustic[k], plain.acoustic[k]) for k in plain.acoustic)
    assert train(recordings, base, recipe=recipe, resume=kept[-1]) == voicefile.pack(judged)


def test_losses_fall_when_trained_longer(recordings: list[Recording], base: Base) -> None:
    told: list[Progress] = []
    recipe = dataclasses.replace(
        TINY,
        semantic=dataclasses.replace(TINY.semantic, steps=40, learning_rate=3e-3),
        acoustic=dataclasses.replace(TINY.acoustic, steps=50, learning_rate=3e-3),
    )
    train(recordings, base, recipe=recipe, progress=told.append)
    for stage, share in (("semantic", 0.85), ("acoustic", 0.75)):
        losses = [p.loss for p in told if p.stage == stage]
        assert sum(losses[-4:]) < share * sum(losses[:4])


def test_the_official_recipe_trains_a_voice(recordings: list[Recording], base: Base) -> None:
    told: list[Progress] = []
    recipe = TrainingRecipe.upstream(semantic_epochs=1, acoustic_epochs=1, batch=25)
    voice = voicefile.unpack(train(recordings, base, recipe=recipe, progress=told.append))
    assert [voice.training["semantic_steps"], voice.training["acoustic_steps"]] == [
        len([p for p in told if p.stage == stage]) for stage in ("semantic", "acoustic")
    ]
    trained = voice.build_acoustic()
    assert not torch.equal(trained.enc_p.proj.weight, base.build_acoustic(3).enc_p.proj.weight.half().float())


def test_adapters_are_resumed_and_leave_the_base_alone(recordings: list[Recording], base: Base) -> None:
    recipe = dataclasses.replace(TINY, adapters=AdapterRecipe(rank=2))
    kept: list[bytes] = []
    data = train(recordings, base, recipe=recipe, checkpoint=kept.append)
    adapters = voicefile.unpack_adapters(data)
    assert adapters.rank == 2
    for state in kept:
        assert train(recordings, base, recipe=recipe, resume=state) == data
    whole = voicefile.unpack(data, base=as_voice(base))
    assert whole.training["acoustic_steps"] == 4
    assert any(not torch.equal(whole.acoustic[k].float(), as_voice(base).acoustic[k].float()) for k in whole.acoustic)


def test_early_stopping_holds_an_utterance_out_and_resumes(recordings: list[Recording], base: Base) -> None:
    recipe = dataclasses.replace(TINY, early=EarlyStop(share=0.2, every=1, patience=1))
    kept: list[bytes] = []
    data = train(recordings, base, recipe=recipe, checkpoint=kept.append)
    assert voicefile.unpack(data).training["held_out"] == 1
    for state in kept:
        assert train(recordings, base, recipe=recipe, resume=state) == data


def test_steps_that_are_not_finite_are_counted_across_a_resume(recordings: list[Recording], base: Base) -> None:
    broken = list(recordings)
    model = base.build_semantic

    def poisoned(seed: int):  # type: ignore[no-untyped-def]
        """S1 whose second pass gives NaN."""
        made, passes = model(seed), iter(range(100))

        def spoil(module: torch.nn.Module, inputs: object, out: torch.Tensor) -> torch.Tensor:
            return out * math.nan if next(passes) == 1 else out

        made.ar_predict_layer.register_forward_hook(spoil)
        return made

    sick = dataclasses.replace(base)
    object.__setattr__(sick, "build_semantic", poisoned)
    kept: list[bytes] = []
    data = train(broken, sick, checkpoint=kept.append)
    assert voicefile.unpack(data).training["skipped_steps"] == 1
    assert train(broken, base, resume=kept[0]) == data
