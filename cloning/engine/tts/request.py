"""One request for speech: every parameter of upstream's `/tts`, with the same names and defaults, checked once."""

from __future__ import annotations

import dataclasses
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cloning.engine.acoustic.cfm import EVALUATIONS, LEAST_STEPS, MOST_STEPS, Integrator
from cloning.engine.acoustic.generator import LEAST_SPEED, MOST_SPEED
from cloning.engine.errors import EngineError
from cloning.engine.semantic.sampling import Sampling
from cloning.engine.text import METHODS
from cloning.engine.tts.media import MEDIA_TYPES

#: A recording: its bytes, or where they lie.
Recording = bytes | str | os.PathLike[str]
#: Language modes of upstream's front end. A plain code is that language mixed with English, `all_` is without, `auto`
#: finds the language of every piece.
MODES = ("auto", "auto_yue", "en", "zh", "ja", "yue", "ko", "all_zh", "all_ja", "all_yue", "all_ko")
#: Largest request of the batched path; upstream's interface offers 200.
MOST_BATCH = 200
#: Longest pause between sentences, in seconds.
MOST_INTERVAL = 5.0
#: Extra references that are blended; each costs a pass of the style encoder.
MOST_EXTRA_REFERENCES = 16
#: Drawn seeds stay in the range that upstream draws from.
DRAWN_SEED_BITS = 32

_RANGES: tuple[tuple[str, float, float], ...] = (
    ("top_k", -1, 1025),
    ("batch_size", 1, MOST_BATCH),
    ("batch_threshold", 0.0, 1.0),
    ("speed_factor", LEAST_SPEED, MOST_SPEED),
    ("fragment_interval", 0.0, MOST_INTERVAL),
    ("seed", -1, 2**63 - 1),
    ("sample_steps", LEAST_STEPS, MOST_STEPS),
    ("streaming_mode", 0, 3),
    ("overlap_length", 1, 32),
    ("min_chunk_length", 2, 200),
    ("noise_scale", 0.0, 2.0),
)
_WHOLE = {
    "top_k",
    "batch_size",
    "seed",
    "sample_steps",
    "streaming_mode",
    "overlap_length",
    "min_chunk_length",
}
_SWITCHES = ("split_bucket", "parallel_infer", "super_sampling")


@dataclass(frozen=True, slots=True)
class TtsRequest:
    """What to say and how. Raises EngineError("bad_request") when a value is out of range or of the wrong kind.

    text, text_lang: what to say, and one of MODES (any case).
    ref_audio_path, aux_ref_audio_paths: the reference recording and extra ones whose styles are averaged with it, as
    bytes or a path; None and () mean the voice's own. prompt_text, prompt_lang: what the reference says; "" speaks
    without a prompt, None takes the voice's own (only together with its own reference).
    top_k (-1 or 0 = off), top_p, temperature, repetition_penalty: how S1 chooses codes.
    text_split_method: cut0..cut5. batch_size, batch_threshold, split_bucket, parallel_infer: how many sentences S1
    reads at once; none of them changes the sound unless `compat` is set.
    speed_factor 0.5..2. fragment_interval: seconds of silence between sentences. seed: -1 = drawn, see `seeded`.
    streaming_mode 0 (or False) whole, 1 (or True) a packet for each sentence, 2 packets of codes cut where the voice is
    mute, 3 packets of a fixed number of codes. min_chunk_length: codes of a packet (25 a second); overlap_length: codes
    that neighbouring packets share.
    sample_steps 1..128, integrator "euler" (upstream's), "midpoint" or "heun": how v3 and v4 sample their mels; the
    other two ask the network twice a step. super_sampling (v3): 48 kHz by the mounted band extension,
    refused where none is mounted.
    media_type: of the bytes that `Engine.encoded` gives.
    noise_scale 0..2: liveliness of the latent (upstream: always 0.5).
    overrides: language -> word -> phones, over the voice's own pronunciations.
    compat "upstream": keeps upstream's quirks (docs/engine.md lists them).
    """

    text: str
    text_lang: str
    ref_audio_path: Recording | None = None
    aux_ref_audio_paths: Sequence[Recording] = ()
    prompt_text: str | None = None
    prompt_lang: str | None = None
    top_k: int = 15
    top_p: float = 1.0
    temperature: float = 1.0
    text_split_method: str = "cut5"
    batch_size: int = 1
    batch_threshold: float = 0.75
    split_bucket: bool = True
    speed_factor: float = 1.0
    fragment_interval: float = 0.3
    seed: int = -1
    parallel_infer: bool = True
    repetition_penalty: float = 1.35
    sample_steps: int = 32
    integrator: Integrator = "euler"
    super_sampling: bool = False
    streaming_mode: int = 0
    overlap_length: int = 2
    min_chunk_length: int = 16
    media_type: str = "wav"
    noise_scale: float = 0.5
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    compat: Literal["upstream"] | None = None

    def __post_init__(self) -> None:
        # Upstream's streaming_mode may be a truth value; everywhere else one is a mistake.
        if isinstance(self.streaming_mode, bool):
            object.__setattr__(self, "streaming_mode", int(self.streaming_mode))
        if not isinstance(self.text, str) or not isinstance(self.text_lang, str):
            raise _bad("text and text_lang must be text")
        object.__setattr__(self, "text_lang", _mode("text_lang", self.text_lang))
        if self.prompt_lang:
            object.__setattr__(self, "prompt_lang", _mode("prompt_lang", self.prompt_lang))
        for name, low, high in _RANGES:
            _number(name, getattr(self, name), low, high, whole=name in _WHOLE)
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise _bad(f"{name} must be true or false")
        _choice("text_split_method", self.text_split_method, METHODS)
        _choice("integrator", self.integrator, tuple(EVALUATIONS))
        _choice("media_type", self.media_type, tuple(MEDIA_TYPES))
        if self.compat not in (None, "upstream"):
            raise _bad('compat must be "upstream" or absent')
        if self.super_sampling and self.streaming_mode and self.compat is None:
            raise _bad("super_sampling hears the whole sound: not while streaming")
        self._check_references()
        _ = self.sampling

    def _check_references(self) -> None:
        if isinstance(self.aux_ref_audio_paths, str | bytes):
            raise _bad("aux_ref_audio_paths must be a list")
        if len(self.aux_ref_audio_paths) > MOST_EXTRA_REFERENCES:
            raise _bad(f"at most {MOST_EXTRA_REFERENCES} extra references are blended")
        recordings = (self.ref_audio_path, *self.aux_ref_audio_paths)
        if not all(one is None or isinstance(one, bytes | str | os.PathLike) for one in recordings):
            raise _bad("a recording is given as bytes or as a path")
        if self.ref_audio_path is None and self.aux_ref_audio_paths:
            raise _bad("extra references need a reference of their own")
        if self.ref_audio_path is None and self.prompt_text:
            raise _bad("prompt_text is what ref_audio_path says; give both or neither")
        if self.prompt_text and not self.prompt_lang:
            raise _bad("prompt_text needs prompt_lang")

    @property
    def sampling(self) -> Sampling:
        """The S1 part of the request. Raises EngineError("bad_request")."""
        try:
            return Sampling(max(self.top_k, 0), self.top_p, self.temperature, self.repetition_penalty)
        except (ValueError, TypeError) as error:
            raise _bad(str(error)) from error

    def seeded(self) -> TtsRequest:
        """The same request with a seed: its own, or one drawn from the system's randomness if it is -1."""
        return self if self.seed >= 0 else dataclasses.replace(self, seed=secrets.randbits(DRAWN_SEED_BITS))

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], *, paths: bool = False) -> TtsRequest:
        """From parameters as they came in. Raises EngineError("bad_request") for unknown or missing names.

        Recordings must be bytes unless `paths`: a path from elsewhere would let its sender listen to any file here.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(str(name)[:60] for name in data if name not in known)
        if unknown:
            raise _bad(f"unknown parameters: {', '.join(unknown[:8])}")
        if not {"text", "text_lang"} <= set(data):
            raise _bad("text and text_lang are required")
        request = cls(**data)
        recordings = (request.ref_audio_path, *request.aux_ref_audio_paths)
        if not paths and not all(one is None or isinstance(one, bytes) for one in recordings):
            raise _bad("recordings must be given as bytes, not as paths")
        return request


def _bad(sentence: str) -> EngineError:
    return EngineError("bad_request", sentence)


def _mode(name: str, value: object) -> str:
    lowered = value.lower() if isinstance(value, str) else ""
    _choice(name, lowered, MODES)
    return lowered


def _choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _bad(f"{name} must be one of {', '.join(choices)}")


def _number(name: str, value: object, low: float, high: float, *, whole: bool) -> None:
    kinds = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or not low <= value <= high:
        raise _bad(f"{name} must be {'a whole number' if whole else 'a number'} from {low:.15g} to {high:.15g}")
