"""Sound while the rest is still being made: sentence by sentence, or in packets of codes that are decoded with an
overlap and joined."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cloning.engine.acoustic.streaming import StreamingDecoder
from cloning.engine.errors import SynthesisFailed
from cloning.engine.synthesis import check_finite
from cloning.engine.tts.flow import flow_packets
from cloning.engine.tts.join import Joiner, Wave, at_most_full_scale, pause
from cloning.engine.tts.speaker import SOUND, Speaker

#: Streaming mode in which a packet is a sentence.
BY_SENTENCE = 1


def streamed(speaker: Speaker) -> Iterator[Wave]:
    """A whole job in packets, by the streaming mode of its request (1, 2 or 3).

    Silence stands before each sentence but the first; with upstream's quirks after each. Raises SynthesisFailed.
    """
    job = speaker.job
    gap = pause(job.rate, job.request.fragment_interval)
    for index, sound in _sentences(speaker):
        before = bool(index) and not job.compat
        for wave in sound:
            yield np.concatenate([gap, wave]) if before else wave
            before = False
        if job.compat:
            yield gap


def _sentences(speaker: Speaker) -> Iterator[tuple[int, Iterator[Wave]]]:
    """Index and packets of every sentence. In mode 1 as many sentences as the request's batch size are made at once."""
    job = speaker.job
    # Upstream has no smaller packets of v3 and v4 than a sentence.
    if job.request.streaming_mode != BY_SENTENCE and not (job.compat and job.flow is not None):
        yield from ((index, packets(speaker, index)) for index in range(len(job.sentences)))
        return
    for start in range(0, len(job.sentences), job.request.batch_size):
        indices = range(start, min(start + job.request.batch_size, len(job.sentences)))
        for index, said in zip(indices, speaker.say(indices), strict=True):
            yield index, iter([at_most_full_scale(said.wave)])


def packets(speaker: Speaker, index: int) -> Iterator[Wave]:
    """The sentence's sound, packet by packet; joined one after the other they are the sentence.

    A packet's last `overlap_length` codes are heard with the next one, cross-faded where the two waves fit best. What
    was sent cannot be taken back, so there is one attempt only. Raises SynthesisFailed.
    """
    job, request = speaker.job, speaker.job.request
    sentence, voice = job.sentences[index], job.voice
    if job.flow is not None:
        yield from flow_packets(speaker, job.flow, index)
        return
    decoder = StreamingDecoder(
        voice.direct,
        sentence.phones[None],
        job.style,
        overlap=request.overlap_length,
        speed=request.speed_factor,
        noise_scale=request.noise_scale,
        generator=speaker.generator(index, 0, SOUND),
        compat=job.compat,
    )
    samples_per_code = voice.encoders.frames_per_code * voice.audio.hop / request.speed_factor
    joiner = Joiner(math.ceil(request.overlap_length * samples_per_code), compat=job.compat)
    anything = False
    for chunk in speaker.code_packets(index):
        codes = chunk.codes
        if not codes.numel():
            sound = joiner.flush()
        else:
            piece = decoder.feed(codes[None])
            wave: Wave = piece.wave[0, 0].float().cpu().numpy().copy()
            if piece.overlap > request.overlap_length:
                # Short packets are decoded with more of the past for a better sound; it is heard already.
                wave = wave[-int((request.overlap_length + codes.numel()) * samples_per_code) :]
            check_finite(wave)
            sound = joiner.add(wave, final=chunk.final)
        anything = anything or bool(len(sound))
        if len(sound):
            yield sound
    if not anything:
        raise SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")
