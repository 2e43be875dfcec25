"""v3 and v4 in a request: the prompt that the flow matching continues, mels to sound, and packets of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.mels import (
    OVERLAP,
    FlowSampling,
    MelPrompt,
    MelStream,
    Spoken,
    chained,
    mel_prompt,
    overlapped,
)
from cloning.engine.errors import EngineError, SynthesisFailed
from cloning.engine.features.spectrogram import from_unit
from cloning.engine.synthesis import check_finite
from cloning.engine.tts.join import Joiner, Wave, sola
from cloning.engine.tts.references import References
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.sentences import Sentence
from cloning.engine.tts.voice import LoadedVoice
from cloning.engine.vocoders.mounted import Vocoder, Vocoders

if TYPE_CHECKING:
    from cloning.engine.tts.speaker import Speaker

#: Mel frames before a packet that the vocoder hears again, and those of them whose sound is cross-faded: it needs to
#: know what came before, and the end of a packet was made without knowing what follows.
PAST, FADED = 36, 12
#: Pieces of one sentence have randomness of their own (as `speaker.CODES`, `speaker.SOUND`).
SOUND = 1


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the reference says, as phones and as codes T int64 of the same words."""

    sentence: Sentence
    codes: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """A v3 or v4 voice ready to continue its reference. Nothing in it changes."""

    model: DiffusionModel
    prompt: MelPrompt
    sampling: FlowSampling
    vocoder: Vocoder

    def sound(self, codes: Tensor, phones: Tensor, style: Tensor, speed: float, generator: torch.Generator) -> Wave:
        """Codes T and phones X of the same words -> wave."""
        row = self.row(codes, phones, style, speed, generator)
        return self.wave(torch.cat(list(chained(row.model, row.prompt, row.features, self.sampling, generator)), dim=2))

    def row(self, codes: Tensor, phones: Tensor, style: Tensor, speed: float, generator: torch.Generator) -> Spoken:
        """The same words as a row of a batch that other voices may share (`mels.chained_together`)."""
        with torch.inference_mode():
            features = self.model.features(codes[None], phones[None], style, speed)
        return Spoken(self.model, self.prompt, features, generator)

    def windows(
        self, spoken: Sequence[tuple[Tensor, Tensor]], style: Tensor, speed: float, generator: torch.Generator
    ) -> list[Wave]:
        """Codes and phones of several sentences -> their waves, made in one batch of overlapping windows and cut where
        each sentence's frames end (upstream's batched way)."""
        with torch.inference_mode():
            features = [self.model.features(codes[None], phones[None], style, speed) for codes, phones in spoken]
        mels, spare = overlapped(self.model, self.prompt, torch.cat(features, dim=2), self.sampling, generator)
        hop = self.vocoder.hop
        # Upstream's vocoder hears the windows one after the other as if they were one mel.
        whole = self.wave(mels.permute(1, 0, 2).flatten(1)[None])
        width = mels.shape[2] * hop
        joined = sola([whole[start : start + width] for start in range(0, len(whole), width)], OVERLAP * hop)
        joined = joined[OVERLAP * hop : len(joined) - spare * hop]
        waves, start = [], 0
        for part in features:
            end = start + part.shape[2] * hop
            waves.append(joined[start:end])
            start = end
        return waves

    def wave(self, mel: Tensor) -> Wave:
        """Mel 1 x M x F in the unit range -> wave of F * hop samples."""
        pcm: Wave = self.vocoder.vocode(from_unit(mel))[0].cpu().numpy().copy()
        return pcm


def no_vocoder(version: str) -> EngineError:
    return EngineError(
        "no_vocoder", f"a {version} voice needs its vocoder from the models folder, which is not mounted"
    )


def check_request(voice: LoadedVoice, request: TtsRequest, vocoders: Vocoders | None) -> None:
    """What v3 and v4 cannot do, before anything is computed. Raises EngineError `no_vocoder`, `needs_prompt`,
    `one_reference`, CheckpointError `not_mounted`."""
    if vocoders is None:
        raise no_vocoder(voice.version)
    vocoders.of(voice.version)
    own = request.ref_audio_path is None and request.prompt_text is None
    if own and voice.kept_mel is not None:
        return
    text = voice.manner.prompt_text if own else request.prompt_text
    if not (text or "").strip():
        raise EngineError(
            "needs_prompt", f"a {voice.version} voice continues its reference and must know what that says"
        )
    extra = voice.manner.extra if request.ref_audio_path is None else request.aux_ref_audio_paths
    if extra and request.compat is None:
        raise EngineError("one_reference", f"a {voice.version} voice takes one reference, not several")


def prepared_flow(
    voice: LoadedVoice,
    request: TtsRequest,
    references: References,
    recording: bytes | None,
    prompt: Prompt | None,
    style: Tensor,
    vocoders: Vocoders,
) -> Flow:
    """`recording` None: the voice continues the speech that it keeps. Raises EngineError `needs_prompt`,
    `reference_too_short`, ReferenceRefused."""
    model = voice.flow
    if model is None or prompt is None:
        raise EngineError("needs_prompt", f"a {voice.version} voice continues its reference")
    compat = request.compat == "upstream"
    mel = voice.kept_mel if recording is None else references.mel(voice, recording, compat=compat)
    if mel is None:
        raise EngineError("needs_prompt", f"a {voice.version} voice continues its reference")
    told = mel_prompt(model, prompt.codes[None], prompt.sentence.phones[None], style, mel, compat=compat)
    sampling = FlowSampling(steps=request.sample_steps, integrator=request.integrator)
    return Flow(model, told, sampling, vocoders.of(voice.version))


def flow_packets(speaker: Speaker, flow: Flow, index: int) -> Iterator[Wave]:
    """A sentence's sound while its codes are still being drawn; the packets one after the other are the sentence.

    Mel frames come in stretches of the request's `min_chunk_length` codes, each behind the end of the one before; the
    sound of a packet's last FADED frames is heard with the next one. Raises SynthesisFailed.
    """
    job, request = speaker.job, speaker.job.request
    stream = MelStream(
        flow.model,
        flow.prompt,
        job.sentences[index].phones[None],
        job.style,
        flow.sampling,
        speaker.generator(index, 0, SOUND),
        hold=request.overlap_length,
        speed=request.speed_factor,
    )
    hop, anything = flow.vocoder.hop, False
    # Both sounds of the shared frames come from the same mel, so they need not be moved to fit.
    joiner = Joiner(FADED * hop, search=0)
    past = torch.zeros(1, flow.model.config.dit.mel, 0)
    for chunk in speaker.code_packets(index):
        mel = stream.feed(chunk.codes[None], final=chunk.final)
        heard = torch.cat((past, mel), dim=2)
        if mel.shape[2]:
            wave = flow.wave(heard)
            again = min(past.shape[2], FADED)
            wave = wave[(past.shape[2] - again) * hop :]
            check_finite(wave)
            sound = joiner.add(wave, final=chunk.final)
        else:
            sound = joiner.flush() if chunk.final else np.zeros(0, np.float32)
        past = heard[..., -PAST:]
        anything = anything or bool(len(sound))
        if len(sound):
            yield sound
    if not anything:
        raise SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")
