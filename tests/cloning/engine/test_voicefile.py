"""A voice as bytes: the same voice in and out, and every damaged or dishonest file refused."""

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

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig, tiny
from cloning.engine.errors import VoiceFileError
from cloning.engine.features.content import ContentEncoder
from cloning.engine.reference import Reference
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.voicefile import Voice, digest, pack, unpack


def made(config: EngineConfig) -> Voice:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Voice(
            config=config,
            language="en",
            semantic=Text2Semantic(config.semantic).state_dict(),
            acoustic=AcousticModel(config.acoustic, config.audio).state_dict(),
            content=ContentEncoder(config.content).state_dict(),
            reference=Reference(torch.arange(5), torch.arange(9), torch.randn(1, 16, 1)),
            base_digest="a" * 64,
            training={"steps": 3, "loss": 0.5, "note": "x"},
        )


@pytest.fixture(scope="module")
def voice() -> Voice:
    return made(tiny())


@pytest.fixture(scope="module")
def packed(voice: Voice) -> bytes:
    return pack(voice)


def test_a_voice_survives_the_round_trip(voice: Voice, packed: bytes) -> None:
    back = unpack(packed)
    assert back.config == voice.config
    assert (back.language, back.base_digest, dict(back.training)) == (
        "en",
        "a" * 64,
        {"steps": 3, "loss": 0.5, "note": "x"},
    )
    for ours, theirs in (
        (voice.semantic, back.semantic),
        (voice.acoustic, back.acoustic),
        (voice.content, back.content),
    ):
        assert ours is not None
        assert theirs is not None
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[name].half(), theirs[name]) for name in ours)
    assert voice.reference is not None
    assert back.reference is not None
    assert torch.equal(back.reference.style, voice.reference.style)
    assert torch.equal(back.reference.codes, voice.reference.codes)


def test_packing_is_stable(voice: Voice, packed: bytes) -> None:
    assert pack(voice) == packed
    assert pack(unpack(packed)) == packed
    assert digest(packed) == digest(pack(unpack(packed)))


def test_values_too_large_for_half_precision_keep_their_value(voice: Voice) -> None:
    acoustic = dict(voice.acoustic)
    name = "quantizer.vq.layers.0._codebook.cluster_size"
    acoustic[name] = torch.full_like(acoustic[name], 123456.0)
    back = unpack(pack(dataclasses.replace(voice, acoustic=acoustic)))
    assert float(back.acoustic[name][0]) == 123456.0


def test_models_built_from_a_file_compute_the_same(voice: Voice, packed: bytes) -> None:
    back = unpack(packed)
    codes = torch.arange(6)[None]
    style = torch.zeros(1, 16, 1)
    waves = [
        v.build_acoustic().decode(codes, codes, style, noise_scale=0.0)
        for v in (unpack(pack(back)), back, back.for_speaking())
    ]
    assert torch.equal(waves[0], waves[1])
    assert torch.equal(waves[0], waves[2])
    assert back.build_semantic().phone_head is not None
    assert back.build_content()(torch.zeros(1, 3200)).shape == (1, 10, 16)


def test_a_voice_for_speaking_is_smaller_and_cannot_train(packed: bytes) -> None:
    speaking = unpack(packed).for_speaking()
    data = pack(speaking)
    assert len(data) < len(packed)
    assert unpack(data).build_acoustic().enc_q is None
    with pytest.raises(VoiceFileError, match="no_content_encoder"):
        unpack(data).build_content()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda v: {"language": "EN!"}, "bad_description"),
        (lambda v: {"base_digest": "no"}, "bad_description"),
        (lambda v: {"training": {"x": float("inf")}}, "bad_description"),
        (lambda v: {"training": {"x": [1]}}, "bad_description"),
        (lambda v: {"training": {str(i): 1 for i in range(100)}}, "bad_description"),
        (lambda v: {"semantic": {}}, "wrong_weights"),
        (lambda v: {"semantic": {**v.semantic, "x": torch.zeros(1)}}, "wrong_weights"),
        (lambda v: {"semantic": {**v.semantic, "ar_text_position.alpha": torch.tensor([float("nan")])}}, "not_finite"),
        (lambda v: {"content": {}}, "wrong_weights"),
        (lambda v: {"reference": dataclasses.replace(v.reference, codes=torch.tensor([64]))}, "wrong_reference"),
        (lambda v: {"reference": dataclasses.replace(v.reference, codes=torch.tensor([-1]))}, "wrong_reference"),
        (lambda v: {"reference": dataclasses.replace(v.reference, codes=torch.zeros(0).long())}, "wrong_reference"),
        (lambda v: {"reference": dataclasses.replace(v.reference, phones=torch.zeros(2000).long())}, "wrong_reference"),
        (lambda v: {"reference": dataclasses.replace(v.reference, style=torch.zeros(1, 17, 1))}, "wrong_reference"),
        (
            lambda v: {"reference": dataclasses.replace(v.reference, style=torch.full((1, 16, 1), torch.inf))},
            "not_finite",
        ),
    ],
)
def test_a_wrong_voice_is_never_written(voice: Voice, change: Callable[[Any], dict[str, Any]], code: str) -> None:
    with pytest.raises(VoiceFileError) as refusal:
        pack(dataclasses.replace(voice, **change(voice)))
    assert refusal.value.code == code


def rewritten(packed: bytes, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]) -> bytes:
    """The file with its description and tensors changed by hand, as a hostile writer would."""
    (length,) = struct.unpack("<Q", packed[:8])
    description = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["voice"])
    tensors = load(packed)
    change(description, tensors)
    return save(tensors, {"voice": json.dumps(description)})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d, t: d.update(format="other"), "unsupported_version"),
        (lambda d, t: d.update(format_version=3), "unsupported_version"),
        (lambda d, t: d.update(surprise=1), "bad_description"),
        (lambda d, t: d.update(format_version=2), "bad_description"),
        (lambda d, t: d.update(format_version=True), "unsupported_version"),
        (lambda d, t: d.pop("training"), "bad_description"),
        (lambda d, t: d.update(language=7), "bad_description"),
        (lambda d, t: d.update(training=[1]), "bad_description"),
        (lambda d, t: d["config"]["semantic"].update(layers=10**6), "bad_description"),
        (lambda d, t: d["config"]["semantic"].update(layers=3), "wrong_weights"),
        (lambda d, t: t.update({"other.x": torch.zeros(1)}), "wrong_weights"),
        (lambda d, t: t.pop("reference.style"), "wrong_reference"),
        (lambda d, t: t.update({"reference.codes": torch.zeros(3)}), "wrong_reference"),
        (lambda d, t: t.update({"semantic.bias": torch.zeros(3, dtype=torch.uint8)}), "damaged"),
        (lambda d, t: t.update({"semantic.ar_text_position.alpha": torch.tensor([1])}), "wrong_weights"),
    ],
)
def test_a_rewritten_file_is_refused(packed: bytes, change: Callable[..., object], code: str) -> None:
    with pytest.raises(VoiceFileError) as refusal:
        unpack(rewritten(packed, change))
    assert refusal.value.code == code


def test_a_voice_of_an_earlier_base_still_speaks() -> None:
    """Its description knows nothing of what was added since, so nothing of that is done: no words for the pitch head,
    the style as it is."""
    absent = {"phone_classes": 0, "phone_width": 0, "style_gain": 1.0, "formant_gain": 0.0}
    config = dataclasses.replace(tiny(), acoustic=dataclasses.replace(tiny().acoustic, **absent))
    file = pack(made(config))
    earlier = rewritten(file, lambda d, t: [d["config"]["acoustic"].pop(name) for name in absent])
    assert unpack(earlier).config == config
    codes, style = torch.arange(6)[None], torch.zeros(1, 16, 1)
    waves = [unpack(f).build_acoustic().decode(codes, codes, style, noise_scale=0.0) for f in (file, earlier)]
    assert torch.equal(*waves)


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 8, b"\xff" * 64, struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 2) + b"[]", b"PK" + b"\0" * 99],
)
def test_bytes_that_are_no_voice_are_refused(data: bytes) -> None:
    with pytest.raises(VoiceFileError):
        unpack(data)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_one_changed_byte_gives_a_valid_voice_or_a_named_refusal(
    packed: bytes, place: float, value: int, cut: bool
) -> None:
    at = int(place**6 * len(packed))  # mostly in the header, where the decisions are
    data = packed[:at] if cut else packed[:at] + bytes([value]) + packed[at + 1 :]
    with contextlib.suppress(VoiceFileError):
        assert isinstance(unpack(data), Voice)
