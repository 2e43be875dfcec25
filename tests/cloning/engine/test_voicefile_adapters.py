"""A voice as what it adds to a base: in and out, on the right base only, and every dishonest file refused."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from cloning.engine import lowrank, voicefile
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.bases import as_voice, shipped
from cloning.engine.config import tiny
from cloning.engine.errors import VoiceFileError
from cloning.engine.reference import Reference
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.synthesis import ResidentBase
from cloning.engine.training.adapters import AdapterRecipe, attach
from cloning.engine.training.base import random_base, starter_base
from cloning.engine.voicefile import (
    AdapterVoice,
    Voice,
    pack,
    pack_adapters,
    unpack,
    unpack_adapters,
)
from tests.cloning.engine.acoustic.made import sourceless


@pytest.fixture(scope="module")
def base() -> Voice:
    return as_voice(random_base(sourceless(tiny()), 1))


@pytest.fixture(scope="module")
def voice(base: Voice) -> AdapterVoice:
    draw = torch.Generator().manual_seed(3)
    parts = {
        part: {
            name: 0.1 * torch.randn(shape, generator=draw).half()
            for name, shape in lowrank.outline(base.config, part, 4).items()
        }
        for part in ("semantic", "acoustic")
    }
    return AdapterVoice(
        config=base.config,
        language="en",
        rank=4,
        alpha=8.0,
        semantic=parts["semantic"],
        acoustic=parts["acoustic"],
        reference=Reference(torch.arange(5), torch.arange(9), torch.randn(1, 16, 1, generator=draw)),
        base_digest=lowrank.base_digest(base.semantic, base.acoustic),
        training={"steps": 3},
    )


@pytest.fixture(scope="module")
def packed(voice: AdapterVoice) -> bytes:
    return pack_adapters(voice)


def test_adapters_survive_the_round_trip(voice: AdapterVoice, packed: bytes) -> None:
    back = unpack_adapters(packed)
    assert (back.config, back.rank, back.alpha, back.base_digest) == (
        voice.config,
        4,
        8.0,
        voice.base_digest,
    )
    for ours, theirs in ((voice.semantic, back.semantic), (voice.acoustic, back.acoustic)):
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert torch.equal(back.reference.style, voice.reference.style)
    assert pack_adapters(back) == packed


def test_a_voice_on_its_base_speaks_as_it_was_trained(base: Voice, voice: AdapterVoice, packed: bytes) -> None:
    whole = unpack(packed, base=base)
    assert (whole.language, dict(whole.training)) == ("en", {"steps": 3})
    codes, style = torch.arange(6)[None], voice.reference.style
    model = base.build_acoustic()
    attach(model, AdapterRecipe(rank=4, alpha=8)).load(voice.acoustic)
    spoken = whole.build_acoustic().decode(codes, codes, style, noise_scale=0.0)
    torch.testing.assert_close(spoken, model.decode(codes, codes, style, noise_scale=0.0), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(spoken, base.build_acoustic().decode(codes, codes, style, noise_scale=0.0), atol=1e-6)


def test_a_whole_voice_made_of_adapters_can_be_stored_whole(base: Voice, packed: bytes) -> None:
    whole = unpack(packed, base=base)
    again = unpack(pack(whole))
    assert all(torch.equal(again.semantic[name], whole.semantic[name].half()) for name in whole.semantic)


def test_a_base_is_found_by_its_digest(base: Voice, voice: AdapterVoice, packed: bytes) -> None:
    known = {voice.base_digest: base}
    found, given_ = unpack(packed, base=known.get), unpack(packed, base=base)
    assert all(torch.equal(found.acoustic[name], given_.acoustic[name]) for name in found.acoustic)


def test_a_base_that_is_spoken_with_otherwise_is_the_same_base(base: Voice, voice: AdapterVoice) -> None:
    """What stands behind its weights is each voice's own: voices made before a base got it go on as they were."""
    plain = {"style_gain": 1.0, "formant_gain": 0.0}
    before = dataclasses.replace(voice.config, acoustic=dataclasses.replace(voice.config.acoustic, **plain))
    earlier = dataclasses.replace(voice, config=before)
    assert base.config.acoustic.formant_gain > 0
    assert unpack(pack_adapters(earlier), base=base).config == before
    assert ResidentBase(base).speaker(earlier).config == before


def test_without_the_right_base_there_is_no_voice(base: Voice, packed: bytes) -> None:
    acoustic = dict(base.acoustic)
    acoustic["dec.conv_pre.bias"] = acoustic["dec.conv_pre.bias"] + 0.01
    other = dataclasses.replace(base, acoustic=acoustic)
    for source, code in ((None, "needs_base"), (lambda _: None, "unknown_base"), (other, "wrong_base")):
        with pytest.raises(VoiceFileError) as refusal:
            unpack(packed, base=source)
        assert refusal.value.code == code


def test_what_only_training_needs_does_not_tell_bases_apart(base: Voice, packed: bytes) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        full_config = sourceless(tiny())
        head = Text2Semantic(full_config.semantic).state_dict()
        posterior = AcousticModel(full_config.acoustic, full_config.audio).state_dict()
    larger = dataclasses.replace(
        base,
        config=full_config,
        semantic=dict(base.semantic) | {k: v for k, v in head.items() if k.startswith("phone_head.")},
        acoustic=dict(base.acoustic) | {k: v for k, v in posterior.items() if k.startswith("enc_q.")},
    )
    assert unpack(packed, base=larger).build_acoustic().enc_q is None


def test_a_whole_voice_is_not_taken_for_adapters(base: Voice) -> None:
    with pytest.raises(VoiceFileError) as refusal:
        unpack_adapters(pack(base))
    assert refusal.value.code == "whole_voice"


def test_the_shipped_base_is_known_by_its_own_digest_only() -> None:
    starter = as_voice(starter_base())
    digest = lowrank.base_digest(starter.semantic, starter.acoustic)
    assert shipped(digest) is not None
    assert shipped("0" * 64) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda v: {"rank": 0}, "bad_description"),
        (lambda v: {"rank": True}, "bad_description"),
        (lambda v: {"rank": 3}, "wrong_weights"),
        (lambda v: {"rank": 10**6}, "bad_description"),
        (lambda v: {"alpha": float("nan")}, "bad_description"),
        (lambda v: {"alpha": -1.0}, "bad_description"),
        (lambda v: {"base_digest": ""}, "bad_description"),
        (lambda v: {"config": tiny()}, "bad_description"),
        (lambda v: {"semantic": {}}, "wrong_weights"),
        (lambda v: {"acoustic": {**v.acoustic, "enc_q.pre.down": torch.zeros(4, 9)}}, "wrong_weights"),
        (
            lambda v: {"semantic": {k: torch.full_like(t, torch.nan) for k, t in v.semantic.items()}},
            "not_finite",
        ),
        (lambda v: {"reference": dataclasses.replace(v.reference, codes=torch.tensor([64]))}, "wrong_reference"),
    ],
)
def test_wrong_adapters_are_never_written(voice: AdapterVoice, change: Callable[[Any], Any], code: str) -> None:
    with pytest.raises(VoiceFileError) as refusal:
        pack_adapters(dataclasses.replace(voice, **change(voice)))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d, t: d.update(format_version=1), "bad_description"),
        (lambda d, t: d.pop("adapters"), "bad_description"),
        (lambda d, t: d.update(adapters=[4, 8]), "bad_description"),
        (lambda d, t: d.update(adapters={"rank": "4", "alpha": 8}), "bad_description"),
        (lambda d, t: d.update(adapters={"rank": 4, "alpha": 10**400}), "bad_description"),
        (lambda d, t: d["adapters"].update(more=1), "bad_description"),
        (lambda d, t: d.update(base_digest="x"), "bad_description"),
        (lambda d, t: d["config"]["semantic"].update(layers=10**6), "bad_description"),
        (lambda d, t: d["config"]["semantic"].update(layers=3), "wrong_weights"),
        (lambda d, t: t.pop("reference.style"), "wrong_reference"),
        (lambda d, t: [t.pop(f"reference.{n}") for n in ("style", "codes", "phones")], "wrong_weights"),
        (lambda d, t: t.update({"content.x": torch.zeros(1)}), "wrong_weights"),
        (lambda d, t: t.update({"semantic.h.layers.0.linear1.up": torch.zeros(9999, 4)}), "wrong_weights"),
    ],
)
def test_a_rewritten_file_is_refused(packed: bytes, change: Callable[..., object], code: str) -> None:
    (length,) = struct.unpack("<Q", packed[:8])
    description = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["voice"])
    tensors = load(packed)
    change(description, tensors)
    with pytest.raises(VoiceFileError) as refusal:
        unpack_adapters(save(tensors, {"voice": json.dumps(description)}))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        lambda d, t: d.update(adapters={"rank": 128, "alpha": 8.0}),
        lambda d, t: t.update({"semantic.h.layers.0.linear1.up": torch.zeros(9999, 4)}),
        lambda d, t: t.update({"acoustic.more.down": torch.zeros(1)}),
        lambda d, t: t.update({"elsewhere": torch.zeros(1)}),
        lambda d, t: t.update({"reference.codes": torch.zeros(9999, dtype=torch.int64)}),
    ],
    ids=["another rank", "wrong shape", "one more", "a stranger", "long reference"],
)
def test_names_and_shapes_are_refused_before_any_tensor_is_read(
    packed: bytes, change: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (length,) = struct.unpack("<Q", packed[:8])
    description = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["voice"])
    tensors = load(packed)
    change(description, tensors)
    data = save(tensors, {"voice": json.dumps(description)})

    def read(_: bytes) -> None:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(voicefile, "load", read)
    with pytest.raises(VoiceFileError):
        unpack_adapters(data)


def test_a_base_is_read_for_its_digest_once(base: Voice, voice: AdapterVoice) -> None:
    assert base.digest() == voice.base_digest
    assert base.digest() is base.digest()
    voice.check_base(base)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_one_changed_byte_gives_adapters_or_a_named_refusal(packed: bytes, place: float, value: int, cut: bool) -> None:
    at = int(place**6 * len(packed))
    data = packed[:at] if cut else packed[:at] + bytes([value]) + packed[at + 1 :]
    with contextlib.suppress(VoiceFileError):
        assert isinstance(unpack_adapters(data), AdapterVoice)
