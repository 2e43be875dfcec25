"""Sentences to sound: codes from S1, checked and if need be drawn again, then S2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cloning.engine.errors import EngineError, SynthesisFailed
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import (
    MOST_CODES,
    Chunk,
    Decoded,
    Utterance,
    code_bound,
    decode_batch,
    decode_stream,
    official_result,
)
from cloning.engine.synthesis import ATTEMPTS, LEAST_CODES_PER_PHONE, check_audible, check_finite
from cloning.engine.tts.flow import Flow
from cloning.engine.tts.job import Job
from cloning.engine.tts.join import Wave
from cloning.engine.tts.sentences import Sentence

#: The two stages of a sentence have randomness of their own, so that codes do not depend on how sound is made of them.
CODES, SOUND = 0, 1
#: Streaming mode that cuts packets where the voice is mute.
CUT_AT_MUTE = 2


@dataclass(frozen=True, slots=True)
class Said:
    """`complete`: the model stopped by itself and left no words out."""

    wave: Wave
    complete: bool


class Speaker:
    """Says the sentences of one job. Belongs to one thread.

    With upstream's quirks there is one stream of randomness for the whole request, as there is in upstream, one
    attempt, and one pass of S2 over all sentences of a batch.
    """

    def __init__(self, job: Job, *, attempts: int = ATTEMPTS) -> None:
        self.job = job
        self.attempts = 1 if job.compat else attempts
        if job.voice.runner is None:
            raise ValueError("the voice was not settled")
        self.runner: Runner = job.voice.runner
        self._stream = torch.Generator().manual_seed(job.request.seed) if job.compat else None

    def say(self, indices: Sequence[int], progress: Callable[[float], None] | None = None) -> list[Said]:
        """The sentences of these indices, decoded together. progress(share) is called with growing shares.

        Raises SynthesisFailed.
        """
        report = progress or _ignore
        sentences = [self.job.sentences[index] for index in indices]
        decoded = self.codes(indices, 0, lambda share: report(0.9 * share))
        if self.job.compat and self.job.flow is not None and self.job.request.parallel_infer:
            return self._windows(self.job.flow, sentences, decoded)
        if self.job.compat and self.job.flow is None and self.job.request.speed_factor == 1.0:
            return self._joined(sentences, decoded)
        said = []
        for place, (index, first) in enumerate(zip(indices, decoded, strict=True)):
            said.append(self._attempts(index, first))
            report(0.9 + 0.1 * (place + 1) / len(indices))
        return said

    def codes(
        self, indices: Sequence[int], attempt: int, progress: Callable[[float], None] | None = None
    ) -> list[Decoded]:
        """Codes of the sentences, each as it would be alone.

        With upstream's quirks they are decoded one after the other, because they draw from one stream.
        """
        most = sum(self.bound(index) for index in indices)
        furthest = 0

        def count(codes: int) -> None:
            nonlocal furthest
            furthest = max(furthest, codes)
            if progress is not None:
                progress(furthest / most)

        compat, parallel = self.job.compat, self.job.request.parallel_infer
        if parallel and not compat:
            return decode_batch(self.runner, [self.utterance(i, attempt) for i in indices], progress=count)
        out: list[Decoded] = []
        for index in indices:
            (one,) = decode_batch(self.runner, [self.utterance(index, attempt)], progress=count)
            prompted = self.job.prompt is not None
            out.append(official_result(one, prompted=prompted, batched=parallel) if compat else one)
        return out

    def code_packets(self, index: int) -> Iterator[Chunk]:
        """A sentence's codes while they are drawn, in packets of the request's length.

        Raises EngineError("bad_request") when the voice has no code for a pause to cut at.
        """
        request, voice = self.job.request, self.job.voice
        mute = None
        if request.streaming_mode == CUT_AT_MUTE:
            mute = voice.mute
            if mute is None:
                raise EngineError("bad_request", "streaming_mode 2 needs an official voice; modes 1 and 3 work here")
        return decode_stream(
            self.runner, self.utterance(index, 0), chunk=request.min_chunk_length, mute=mute, compat=self.job.compat
        )

    def utterance(self, index: int, attempt: int) -> Utterance:
        """What S1 gets to read for one attempt at a sentence."""
        job, sentence = self.job, self.job.sentences[index]
        return Utterance(
            phones=job.phones(sentence),
            generator=self.generator(index, attempt, CODES),
            sampling=job.request.sampling,
            most=self.bound(index),
            prompt=None if job.prompt is None else job.prompt.codes,
            bert=job.bert(sentence),
            adapters=job.voice.adapters,
        )

    def bound(self, index: int) -> int:
        """Most codes of a sentence: by its phones and the prompt's pace, or upstream's absolute limit."""
        job = self.job
        if job.compat:
            return MOST_CODES
        target = job.sentences[index].phones.numel()
        if job.prompt is None:
            return code_bound(target)
        return code_bound(target, job.prompt.sentence.phones.numel(), job.prompt.codes.numel())

    def generator(self, *path: int) -> torch.Generator:
        """The randomness of one step of one sentence."""
        return self.job.generator(*path) if self._stream is None else self._stream

    def _attempts(self, index: int, first: Decoded) -> Said:
        trial = Trial(self, index)
        while not trial.done:
            decoded = first if trial.attempt == 0 else self.codes([index], trial.attempt)[0]
            wave = self.sound(decoded.codes, trial.phones, trial.generator()) if decoded.codes.numel() else None
            trial.judge(decoded, wave)
        return trial.said()

    def _joined(self, sentences: Sequence[Sentence], decoded: Sequence[Decoded]) -> list[Said]:
        """Upstream's one pass over the whole batch, cut where each sentence's codes end."""
        codes = torch.cat([one.codes for one in decoded])
        if not codes.numel():
            raise SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")
        phones = torch.cat([sentence.phones for sentence in sentences])
        wave = self.sound(codes, phones, self.generator())
        check_finite(wave)
        span = self.job.voice.encoders.frames_per_code * self.job.voice.audio.hop
        said, start = [], 0
        for one in decoded:
            end = start + one.codes.numel() * span
            said.append(Said(wave[start:end], one.ended))
            start = end
        return said

    def _windows(self, flow: Flow, sentences: Sequence[Sentence], decoded: Sequence[Decoded]) -> list[Said]:
        """Upstream's one pass of overlapping windows over the whole batch of a v3 or v4 voice."""
        if not all(one.codes.numel() for one in decoded):
            raise SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")
        spoken = [(one.codes, sentence.phones) for one, sentence in zip(decoded, sentences, strict=True)]
        waves = flow.windows(spoken, self.job.style, self.job.request.speed_factor, self.generator())
        for wave in waves:
            check_finite(wave)
        return [Said(wave, one.ended) for wave, one in zip(waves, decoded, strict=True)]

    def sound(self, codes: Tensor, phones: Tensor, generator: torch.Generator) -> Wave:
        """Codes T and phones X of the same words -> wave."""
        request = self.job.request
        if self.job.flow is not None:
            return self.job.flow.sound(codes, phones, self.job.style, request.speed_factor, generator)
        wave = self.job.voice.direct.decode(
            codes[None],
            phones[None],
            self.job.style,
            generator=generator,
            noise_scale=request.noise_scale,
            speed=request.speed_factor,
        )
        pcm: Wave = wave[0, 0].float().cpu().numpy().copy()
        return pcm


class Trial:
    """The attempts at one sentence: the first that is complete and can be heard counts, else the last one that can be
    heard. `attempt` is the next one's number."""

    def __init__(self, speaker: Speaker, index: int) -> None:
        self.speaker, self.index, self.attempt = speaker, index, 0
        self.phones = speaker.job.sentences[index].phones
        self._kept: Wave | None = None
        self._complete = False
        self._failure = SynthesisFailed("no_codes", "the voice had nothing to say for a part of the text")

    @property
    def done(self) -> bool:
        return self._complete or self.attempt >= self.speaker.attempts

    def generator(self) -> torch.Generator:
        """The randomness of the next attempt's sound."""
        return self.speaker.generator(self.index, self.attempt, SOUND)

    def judge(self, decoded: Decoded, wave: Wave | None) -> None:
        """The next attempt's outcome; wave None: there were no codes."""
        self.attempt += 1
        if wave is None:
            return
        job = self.speaker.job
        try:
            if job.compat:
                check_finite(wave)
            else:
                check_audible(wave, job.rate, phones=self.phones.numel())
        except SynthesisFailed as error:
            self._failure = error
            return
        self._kept = wave
        self._complete = decoded.ended and decoded.codes.numel() >= LEAST_CODES_PER_PHONE * self.phones.numel()

    def said(self) -> Said:
        """Raises SynthesisFailed when no attempt could be heard."""
        if self._kept is None:
            raise self._failure
        return Said(self._kept, self._complete)


def _ignore(_: float) -> None:
    """Nobody asked for progress."""
