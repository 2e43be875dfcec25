import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine import voicefile
from cloning.engine.errors import CheckpointError, EngineError, TrainingFailed, TrainingRefused
from cloning.engine.features.levels import content_input
from cloning.engine.features.mounted import Mounted
from cloning.engine.text.phones import clean
from cloning.engine.training.base import Base
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.loop import Progress, thaw
from cloning.engine.training.official_base import find_base
from cloning.engine.training.prepare import Recording, prepare
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import train_voice
from cloning.engine.training.zero_shot import instant_voice
from tests.cloning.engine.training.small_official import critic_weights, write_base, write_models

TINY = TrainingRecipe.tiny()
#: One step of S1, then S2 with critics.
JUDGED = dataclasses.replace(
    TINY,
    semantic=dataclasses.replace(TINY.semantic, steps=1),
    acoustic=dataclasses.replace(TINY.acoustic, steps=2, batch=1, warm_up=0, adversarial_from=0),
)
SHORT = dataclasses.replace(
    TINY, semantic=dataclasses.replace(TINY.semantic, steps=1), acoustic=dataclasses.replace(TINY.acoustic, steps=1)
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return find_base(str(write_base(tmp_path_factory.mktemp("base"))))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mounted:
    return Mounted(write_models(tmp_path_factory.mktemp("models")))


def test_an_official_base_trains_a_voice_that_keeps_its_prompt(
    base: Base, models: Mounted, recordings: list[Recording]
) -> None:
    hearing = OfficialHearing(base, models)
    data = train_voice(
        recordings, language="en", recipe=SHORT, base=base, seed=1, progress=lambda p: None, hearing=hearing
    )
    voice = voicefile.unpack(data)
    assert voice.config.version == "v2"
    assert voice.reference is not None
    assert voice.reference.codes.numel() > 50
    assert not any(name.startswith("enc_q.") for name in voice.acoustic)


def test_compat_prepares_sound_and_text_as_upstream(base: Base, models: Mounted, recordings: list[Recording]) -> None:
    import soxr

    loud = soxr.resample(recordings[0].wave, 16000, 32000) * 1.5
    first = Recording(loud.astype(np.float32), 32000, "Ten % off, 好!")
    hearing = OfficialHearing(base, models, compat=True)
    material = prepare([first, *recordings], language="en", config=base.config, encoder=hearing, codebook=base.codebook)
    item = material.items[0]
    kept, heard = content_input(first.wave, compat=True)
    assert torch.equal(item.wave, torch.from_numpy(kept[: len(item.wave)].astype(np.float32) / 32768))
    assert len(item.wave) >= len(first.wave) - 2 * 1280
    with torch.inference_mode():
        content = models.content(torch.from_numpy(heard))
        expected = base.build_acoustic(0).eval().encode_content(content)[0]
    assert torch.equal(item.codes, expected[: len(item.codes)])
    assert item.phones.tolist() == clean("Ten - off, 好!", "en", compat=True).ids


def test_each_recording_is_read_in_its_own_language(base: Base, models: Mounted, recordings: list[Recording]) -> None:
    texts = {"zh": "今天天气很好。", "ja": "今日は天気がいい。", "ko": "오늘은 날씨가 좋다.", "yue": "今日天氣好好。"}
    more = [dataclasses.replace(recordings[0], transcript=t, language=name) for name, t in texts.items()]
    material = prepare(
        [*recordings, *more], language="en", config=base.config, encoder=OfficialHearing(base, models),
        codebook=base.codebook,
    )  # fmt: skip
    assert [item.language for item in material.items] == ["en"] * 5 + list(texts)
    assert len({tuple(item.phones.tolist()) for item in material.items}) == 9
    assert "bert_missing" in material.notes


def test_an_instant_voice_of_an_official_base_has_a_prompt(
    base: Base, models: Mounted, recordings: list[Recording]
) -> None:
    hearing = OfficialHearing(base, models)
    one = recordings[1]
    voice = instant_voice(base, one.wave, one.rate, one.transcript, "en", hearing=hearing)
    assert voice.reference is not None
    assert voice.reference.phones.tolist() == hearing.read(str(one.transcript), "en")[0]
    assert voicefile.unpack(voicefile.pack(voice)).config.version == "v2"
    styled = instant_voice(base, one.wave, one.rate, None, "en", hearing=hearing)
    assert styled.reference is not None
    assert styled.reference.codes.numel() == 0


def test_critics_of_the_folder_are_what_the_fine_tune_starts_from(
    tmp_path: Path, models: Mounted, recordings: list[Recording]
) -> None:
    judged = find_base(str(write_base(tmp_path / "judged", critics=True)))
    assert judged.critics is not None
    kept: list[bytes] = []
    steps: list[Progress] = []
    with pytest.raises(TrainingFailed, match="stopped"):
        train_voice(
            recordings, language="en", recipe=JUDGED, base=judged, seed=1, progress=steps.append,
            hearing=OfficialHearing(judged, models), checkpoint=kept.append,
            should_stop=lambda: steps[-1].stage == "acoustic",
        )  # fmt: skip
    _, tensors = thaw(kept[-1])
    moved = [(tensors[f"weights.critics.{name}"] - value).abs().max() for name, value in critic_weights().items()]
    # AdamW's first step moves nothing further than its rate, and its decay hardly anything.
    assert 0 < float(max(moved)) < 2 * JUDGED.acoustic.critic_rate


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda w: {k: v for k, v in w.items() if "discriminators.5" not in k}, "wrong_weights"),
        (lambda w: w | {"discriminators.0.conv_post.bias": torch.full((1,), torch.nan)}, "not_finite"),
        (lambda w: w | {"discriminators.0.conv_post.bias": torch.zeros(2)}, "wrong_weights"),
    ],
    ids=["missing", "nan", "shape"],
)
def test_critics_that_do_not_fit_are_refused(
    tmp_path: Path, spoil: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], code: str
) -> None:
    folder = write_base(tmp_path)
    torch.save({"weight": spoil(critic_weights())}, folder / "s2D.pth")
    assert refusal(lambda: find_base(str(folder))) == code


def refusal(work: object) -> str:
    with pytest.raises(EngineError) as caught:
        work()  # type: ignore[operator]
    return caught.value.code


def test_what_an_official_base_lacks_is_named(base: Base, tmp_path: Path, recordings: list[Recording]) -> None:
    assert refusal(lambda: OfficialHearing(base, Mounted(tmp_path))) == "no_models"
    with pytest.raises(TrainingRefused, match="no_models"):
        train_voice(recordings, language="en", recipe=TINY, base=base, seed=1, progress=lambda p: None)
    assert refusal(lambda: find_base(str(tmp_path / "nowhere"))) == "missing_base"
    assert refusal(lambda: find_base(str(tmp_path))) == "missing_base"
    with pytest.raises(CheckpointError, match="no_posterior"):
        find_base(str(write_base(tmp_path / "fine-tune", posterior=False)))
