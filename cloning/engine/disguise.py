"""A voice's style moved away from its speaker, along the way that moving its pitch and formants shows.

A filter over finished speech can be taken off again by whoever guesses it. So a disguise is put where the speech is
made: the voice's own speech is shifted (`engine.shift`), the model hears what style that would be, and the voice gets a
style further along the same way. Only the direction comes from the filter; the speech never goes through it. (Random
directions of the same length change next to nothing: the model hears only those in which speakers differ.)
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from cloning.engine.errors import EngineError
from cloning.engine.features import audio
from cloning.engine.features.spectrogram import linear
from cloning.engine.shift import Wave, shifted
from cloning.engine.synthesis import Speaker
from cloning.engine.voicefile import Voice

LEAST_SECONDS: Final = 2.0
MOST_MOVE: Final = 6.0
"""Longest move, in lengths of the style itself; moves of 1.4 to 2.2 were measured."""

Move = npt.NDArray[np.float32]


def away(voice: Voice, pcm: Wave, rate: int, *, pitch: float, formants: float, reach: float) -> Move:
    """What to add to the style, (G,) float32. ``pcm``: float mono at ``rate``, some seconds of the voice's own speech.

    ``pitch`` and ``formants`` in semitones, as `shift.shifted`. ``reach``: how far along the way; at 1 it leads to the
    style of the shifted speech. Raises EngineError("bad_request"): no reference, too little speech, or a shift that is
    none.
    """
    if voice.reference is None or len(pcm) < LEAST_SECONDS * rate or not (pitch or formants):
        raise EngineError("bad_request", "a style moves by a shift of some seconds of a voice that has a reference")
    model = voice.build_acoustic()
    moved = shifted(np.asarray(pcm, np.float32), rate, pitch=pitch, formants=formants)
    with torch.inference_mode():
        heard = [
            model.reference_style([linear(torch.from_numpy(_levelled(one, rate, voice))[None], model.audio)])
            for one in (np.asarray(pcm, np.float32), moved)
        ]
    return (reach * (heard[1] - heard[0])).flatten().numpy().astype(np.float32)


def _levelled(pcm: Wave, rate: int, voice: Voice) -> Wave:
    return np.ascontiguousarray(audio.normalise(audio.resample(pcm, rate, voice.config.audio.sample_rate)))


def disguised(voice: Voice, move: Move) -> Voice:
    """The voice with its style moved. Raises EngineError("bad_request") for a move that is not this voice's."""
    if voice.reference is None:
        raise EngineError("bad_request", "a base has no style to move")
    style = voice.reference.style.float()
    return replace(voice, reference=replace(voice.reference, style=_moved(style, move)))


def disguised_speaker(speaker: Speaker, move: Move) -> Speaker:
    """The same for a voice that is ready: its models are shared. Raises as `disguised`."""
    other = copy.copy(speaker)
    other.style = _moved(speaker.style, move)
    return other


def _moved(style: torch.Tensor, move: Move) -> torch.Tensor:
    if move.shape != (style.numel(),) or not np.isfinite(move).all():
        raise EngineError("bad_request", f"a move of this style has {style.numel()} finite numbers")
    if float(np.linalg.norm(move)) > MOST_MOVE * float(style.norm()):
        raise EngineError("bad_request", f"a style moves by {MOST_MOVE:g} of its own lengths at most")
    return style + torch.from_numpy(move.copy()).to(style.device).reshape(style.shape)
