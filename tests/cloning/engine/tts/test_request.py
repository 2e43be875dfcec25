"""The request: upstream's names and defaults, and clear refusals."""

from __future__ import annotations

from typing import Any

import pytest

from cloning.engine.errors import EngineError
from cloning.engine.tts.request import TtsRequest

#: Names and defaults of upstream's TTS_Request, apart from the references and the required texts.
UPSTREAM: dict[str, Any] = {
    "top_k": 15,
    "top_p": 1,
    "temperature": 1,
    "text_split_method": "cut5",
    "batch_size": 1,
    "batch_threshold": 0.75,
    "split_bucket": True,
    "speed_factor": 1.0,
    "fragment_interval": 0.3,
    "seed": -1,
    "media_type": "wav",
    "streaming_mode": False,
    "parallel_infer": True,
    "repetition_penalty": 1.35,
    "sample_steps": 32,
    "super_sampling": False,
    "overlap_length": 2,
    "min_chunk_length": 16,
}


def test_the_defaults_are_upstream_s() -> None:
    request = TtsRequest(text="Hello", text_lang="en")
    assert {name: getattr(request, name) for name in UPSTREAM} == UPSTREAM
    assert TtsRequest.from_mapping({"text": "Hello", "text_lang": "en", **UPSTREAM}) == request


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": 5},
        {"text_lang": "de"},
        {"text_lang": ""},
        {"top_k": -2},
        {"top_k": 1.5},
        {"top_k": True},
        {"top_p": 0.0},
        {"top_p": float("nan")},
        {"temperature": -1},
        {"text_split_method": "cut9"},
        {"batch_size": 0},
        {"batch_size": 10**6},
        {"batch_threshold": 2},
        {"split_bucket": 1},
        {"speed_factor": 0.1},
        {"speed_factor": "1"},
        {"fragment_interval": 100},
        {"seed": -2},
        {"seed": 2**63},
        {"repetition_penalty": 0},
        {"sample_steps": 0},
        {"super_sampling": True, "streaming_mode": 1},
        {"streaming_mode": 4},
        {"overlap_length": 0},
        {"min_chunk_length": 0},
        {"media_type": "mp3"},
        {"noise_scale": -0.1},
        {"compat": "both"},
        {"prompt_text": "hello"},
        {"ref_audio_path": b"x", "prompt_text": "hello"},
        {"ref_audio_path": 5},
        {"aux_ref_audio_paths": [b"x"]},
        {"ref_audio_path": b"x", "aux_ref_audio_paths": [b"x"] * 99},
        {"ref_audio_path": b"x", "aux_ref_audio_paths": "x.wav"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="bad_request"):
        TtsRequest(**{"text": "Hello", "text_lang": "en", **wrong})


def test_unknown_and_missing_parameters_are_named() -> None:
    with pytest.raises(EngineError, match="voice_id"):
        TtsRequest.from_mapping({"text": "a", "text_lang": "en", "voice_id": 1})
    with pytest.raises(EngineError, match="text_lang"):
        TtsRequest.from_mapping({"text": "a"})


@pytest.mark.parametrize(
    "recordings", [{"ref_audio_path": "/x"}, {"ref_audio_path": b"x", "aux_ref_audio_paths": ["/x"]}]
)
def test_paths_from_elsewhere_are_refused_unless_they_are_asked_for(recordings: dict[str, Any]) -> None:
    data = {"text": "a", "text_lang": "en", **recordings}
    with pytest.raises(EngineError, match="not as paths"):
        TtsRequest.from_mapping(data)
    assert TtsRequest.from_mapping(data, paths=True).ref_audio_path == recordings["ref_audio_path"]


def test_a_seed_is_drawn_only_when_none_was_given() -> None:
    open_one = TtsRequest(text="Hello", text_lang="en")
    drawn = {open_one.seeded().seed for _ in range(8)}
    assert len(drawn) > 1
    assert all(0 <= seed < 2**32 for seed in drawn)
    assert TtsRequest(text="Hello", text_lang="EN", seed=7).seeded().seed == 7


def test_a_language_may_be_written_in_capitals() -> None:
    assert TtsRequest(text="Hello", text_lang="ALL_ZH").text_lang == "all_zh"
