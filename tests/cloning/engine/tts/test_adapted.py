"""Voices of adapters in the pool: one base in memory, whatever comes and goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine import lowrank
from cloning.engine.acoustic.adapted import adaptable
from cloning.engine.config import tiny
from cloning.engine.errors import TextError, VoiceFileError
from cloning.engine.reference import Reference
from cloning.engine.semantic.sampling import Sampling, Utterance, decode_batch
from cloning.engine.tts.engine import Engine
from cloning.engine.tts.official import VoiceFile, source
from cloning.engine.tts.pool import NoRoom
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.shared import memory
from cloning.engine.tts.voice import LoadedVoice, Precision
from cloning.engine.voicefile import AdapterVoice, Voice, pack, pack_adapters, unpack
from tests.cloning.engine.acoustic.made import sourceless
from tests.cloning.engine.test_synthesis import loud_voice

REQUEST = TtsRequest(text="Hello there, my old friend.", text_lang="en", seed=5, repetition_penalty=1.0)


@pytest.fixture(scope="module")
def base() -> Voice:
    torch.set_num_threads(1)
    return dataclasses.replace(loud_voice(sourceless(tiny())), reference=None).for_speaking()


@pytest.fixture(scope="module")
def files(base: Voice, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three voices on the base, of different ranks."""
    folder, found = tmp_path_factory.mktemp("voices"), []
    for seed, rank in enumerate((2, 4, 7)):
        draw = torch.Generator().manual_seed(seed)
        parts = [
            {
                name: 0.1 * torch.randn(shape, generator=draw)
                for name, shape in lowrank.outline(base.config, part, rank).items()
            }
            for part in ("semantic", "acoustic")
        ]
        kept = Reference(torch.arange(5), torch.arange(9), torch.randn(1, 16, 1, generator=draw))
        voice = AdapterVoice(base.config, "en", rank, 4.0, parts[0], parts[1], kept, base.digest())
        found.append(folder / f"{seed}.voice")
        found[-1].write_bytes(pack_adapters(voice))
    return found


@pytest.fixture
def sources(base: Voice, files: list[Path]) -> list[VoiceFile]:
    return [VoiceFile(path, {base.digest(): base}.get) for path in files]


@pytest.fixture
def leased(sources: list[VoiceFile]) -> Iterator[list[LoadedVoice]]:
    engine = Engine()
    with ExitStack() as stack:
        yield [stack.enter_context(engine._lease(one)) for one in sources]
    assert engine.report().leases == 0


def test_ten_voices_do_not_cost_ten_bases(base: Voice, sources: list[VoiceFile]) -> None:
    engine = Engine()
    for one in sources:
        engine.rate(one)
    report = engine.report()
    own = list(report.own_bytes.values())
    alone = sum(value.nbytes for part in (base.semantic, base.acoustic) for value in part.values())
    assert own == sorted(own)
    assert max(own) < 0.3 * alone
    # The base's file is half precision, its models are single; nothing of it lies here twice.
    assert alone < report.total_bytes - sum(own) < 2.2 * alone
    for one in sources:
        assert engine.forget(one)
    assert engine.report().total_bytes == 0


def test_the_voices_hold_the_same_memory(leased: list[LoadedVoice]) -> None:
    first, second, third = leased
    assert first.runner is second.runner is third.runner
    layers = [dict(adaptable(voice.acoustic)) for voice in leased]
    for name in layers[0]:
        assert len({other[name].get_buffer("shared").data_ptr() for other in layers}) == 1, name
    held = [memory(voice.runner, voice.adapters, voice.acoustic) for voice in leased]
    common = set(held[0]) & set(held[1]) & set(held[2])
    for voice, mine in zip(leased, held, strict=True):
        assert sum(size for place, size in mine.items() if place not in common) == voice.unshared_bytes()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_speaks_as_if_it_were_whole(base: Voice, files: list[Path], sources: list[VoiceFile], number: int) -> None:
    engine = Engine()
    for one in sources:
        engine.speak(one, REQUEST)
    speech = engine.speak(sources[number], REQUEST)
    whole = files[number].with_suffix(".safetensors")
    whole.write_bytes(_whole(base, sources[number]))
    expected = engine.speak(source(whole), REQUEST)
    assert speech.pcm.shape == expected.pcm.shape
    # The whole voice's file keeps half of the sums' digits.
    assert float(np.abs(speech.pcm - expected.pcm).max()) < 0.02 * float(np.abs(expected.pcm).max())
    assert np.array_equal(engine.speak(sources[number], REQUEST).pcm, speech.pcm)


def _whole(base: Voice, one: VoiceFile) -> bytes:
    return pack(unpack(one.path.read_bytes(), base=base))


def test_one_batch_speaks_with_all_of_them(leased: list[LoadedVoice]) -> None:
    def utterances() -> list[Utterance]:
        return [
            Utterance(torch.arange(5 + n), torch.Generator().manual_seed(n), Sampling(), 30, adapters=voice.adapters)
            for n, voice in enumerate(leased)
        ]

    runner = leased[0].runner
    assert runner is not None
    together = decode_batch(runner, utterances())
    alone = [decode_batch(runner, [one])[0] for one in utterances()]
    assert [d.codes.tolist() for d in together] == [d.codes.tolist() for d in alone]


@pytest.mark.parametrize("semantic", ["bfloat16", "int8"])
def test_narrow_bases_carry_voices_too(sources: list[VoiceFile], semantic: str) -> None:
    engine = Engine(precision=Precision(semantic=semantic, acoustic="bfloat16"))  # type: ignore[arg-type]
    first, second = (engine.speak(one, REQUEST).pcm for one in sources[:2])
    assert first.tobytes() != second.tobytes()


def test_a_base_in_use_stays_and_one_that_nobody_needs_goes(sources: list[VoiceFile]) -> None:
    engine = Engine()
    with engine._lease(sources[0]):
        needed = engine.report().total_bytes
    tight = Engine(budget=needed + 1)
    with tight._lease(sources[0]):
        with pytest.raises(NoRoom), tight._lease(sources[1]):
            pass
        assert tight.report().total_bytes == needed
    # The second one takes the first one's place on the same base, which never went.
    small = Engine(budget=needed + 40_000)
    with small._lease(sources[0]) as voice:
        runner = voice.runner
    with small._lease(sources[1]) as voice:
        assert voice.runner is runner


@pytest.mark.parametrize(
    ("bases", "code"),
    [
        (lambda base: {}.get, "unknown_base"),
        (lambda base: lambda _: base, "wrong_base"),
        (lambda base: None, "needs_base"),
    ],
    ids=["unknown", "wrong", "none"],
)
def test_without_its_base_a_voice_is_refused_and_nothing_stays(
    base: Voice, files: list[Path], bases: Callable[[Voice], object], code: str
) -> None:
    other = dataclasses.replace(base, acoustic=dict(base.acoustic) | {"dec.conv_pre.bias": torch.ones(32)})
    engine = Engine()
    for _ in range(2):
        with pytest.raises(VoiceFileError) as refusal:
            engine.speak(VoiceFile(files[0], bases(other)), REQUEST)  # type: ignore[arg-type]
        assert refusal.value.code == code
    assert engine.report().total_bytes == 0
    assert engine.report().own_bytes == {}


@pytest.mark.parametrize(("text", "language"), [("你好", "zh"), ("Hello.", "auto"), ("こんにちは", "all_ja")])
def test_a_starter_voice_refuses_a_language_it_never_heard(sources: list[VoiceFile], text: str, language: str) -> None:
    with pytest.raises(TextError) as refusal:
        Engine().speak(sources[0], TtsRequest(text=text, text_lang=language, seed=5))
    assert refusal.value.code == "unsupported_language"
