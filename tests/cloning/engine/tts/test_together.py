"""Several requests of different voices in one batch: each as it is alone, and one that fails stops no other."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cloning.engine.acoustic.cfm import FlowMatching
from cloning.engine.errors import EngineError
from cloning.engine.tts.engine import Engine, Speech
from cloning.engine.tts.official import BASES, OfficialFolder
from cloning.engine.tts.request import TtsRequest
from tests.cloning.engine.official import needs_fixtures, unpacked
from tests.cloning.engine.tts.conftest import recording
from tests.cloning.engine.vocoders.made import write_v4

pytestmark = needs_fixtures
#: Of the loudest sample: rows of a batch are other matrix products than a row alone.
TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def mounted(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mounted")
    shutil.copytree(models, folder, dirs_exist_ok=True)
    write_v4(folder)
    (folder / BASES["v4"]).write_bytes(unpacked("s2_v4_small.pth.xz"))
    return folder


@pytest.fixture(scope="module")
def engine(mounted: Path) -> Engine:
    return Engine(models=mounted, attempts=1)


@pytest.fixture(scope="module")
def voices(make_folder: Callable[..., Path], mounted: Path) -> list[OfficialFolder]:
    """Two voices of one LoRA file and different references, and the base itself as a voice."""
    made = []
    for seed, name in enumerate(("v4_lora", "v4_lora", "v4")):
        folder = make_folder(name)
        (folder / "ref.wav").write_bytes(recording(5.5 + 0.5 * seed, seed=seed))
        made.append(OfficialFolder(folder, mounted))
    return made


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every sampling."""
    seen: list[int] = []
    real = FlowMatching.sample

    def counted(self: FlowMatching, text: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        seen.append(text.shape[0])
        return real(self, text, *rest, **more)

    monkeypatch.setattr(FlowMatching, "sample", counted)
    return seen


def request(text: str = "Yes.", **more: Any) -> TtsRequest:
    return TtsRequest(text=text, text_lang="en", sample_steps=2, **({"seed": 3} | more))


def same(one: Speech | EngineError, other: Speech) -> None:
    assert isinstance(one, Speech)
    assert (one.rate, one.seed, one.doubtful) == (other.rate, other.seed, other.doubtful)
    assert one.pcm.shape == other.pcm.shape
    assert np.abs(one.pcm - other.pcm).max() <= TOLERANCE * np.abs(other.pcm).max()


def alone(engine: Engine, asked: Sequence[tuple[OfficialFolder, TtsRequest]]) -> list[Speech]:
    return [engine.speak(*one) for one in asked]


def test_voices_of_one_base_are_sampled_in_one_batch_and_sound_as_alone(
    engine: Engine, voices: list[OfficialFolder], batches: list[int]
) -> None:
    asked = [(voices[0], request("Oh yes.")), (voices[1], request("No.", seed=4))]
    expected = alone(engine, asked)
    assert set(batches) == {1}
    batches.clear()
    for one, other in zip(engine.speak_together(asked), expected, strict=True):
        same(one, other)
    assert batches[0] == 2
    assert not np.array_equal(expected[0].pcm[:4000], expected[1].pcm[:4000])
    assert engine.report().leases == 0


@pytest.mark.slow
def test_what_does_not_go_together_is_spoken_beside_it(
    engine: Engine, voices: list[OfficialFolder], batches: list[int]
) -> None:
    asked = [
        (voices[0], request("Hello. My friend.")),
        (voices[2], request(compat="upstream")),
        (voices[1], request(seed=5)),
        (voices[1], dataclasses.replace(request(seed=5), sample_steps=1)),
    ]
    expected = alone(engine, asked)
    batches.clear()
    for one, other in zip(engine.speak_together(asked), expected, strict=True):
        same(one, other)
    assert {1, 3} <= set(batches)


def test_one_that_is_refused_stops_no_other(engine: Engine, voices: list[OfficialFolder], tmp_path: Path) -> None:
    nowhere = OfficialFolder(tmp_path / "nowhere")
    asked = [(nowhere, request()), (voices[0], request()), (voices[1], request("你好。", overrides={"en": {"a": "?"}}))]
    first, second, third = engine.speak_together(asked)
    assert isinstance(first, EngineError)
    assert first.code == "no_voice"
    same(second, engine.speak(voices[0], request()))
    assert isinstance(third, EngineError)
    assert engine.speak_together([]) == []
    assert engine.report().leases == 0
