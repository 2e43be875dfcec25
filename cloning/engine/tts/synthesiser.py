"""Text to sound: any number of requests at once, each with its own voice and its own randomness. Samples only: what
becomes of them (a file of the bare engine, `engine`; the platform's seal) is for others.

Nothing is global: a request sees its voice, its seed and nothing else, so the same request gives the same samples
alone or in a crowd, today or tomorrow (on one machine with one number of threads).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from cloning.engine.errors import EngineError
from cloning.engine.features.mounted import Mounted
from cloning.engine.synthesis import ATTEMPTS
from cloning.engine.tts.batching import to_batch
from cloning.engine.tts.flow import no_vocoder
from cloning.engine.tts.job import Job, prepare
from cloning.engine.tts.join import Wave, laid_out, restored
from cloning.engine.tts.packets import streamed
from cloning.engine.tts.pool import Pooled, PoolReport, VoicePool
from cloning.engine.tts.references import References
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.speaker import Said, Speaker
from cloning.engine.tts.together import said_together
from cloning.engine.tts.voice import LoadedVoice, Precision, VoiceSource
from cloning.engine.vocoders.band import TARGET_RATE, BandExtension
from cloning.engine.vocoders.mounted import Vocoders

if TYPE_CHECKING:
    from cloning.engine.text.polyphones import Polyphones

#: Memory for voices when nobody says otherwise: about ten unrelated v2 voices in single precision.
BUDGET = 4 * 2**30
#: Modes of the text front end that may read Mandarin.
MANDARIN = frozenset({"zh", "all_zh", "auto"})


@dataclass(frozen=True, slots=True)
class Speech:
    """`pcm`: float32 mono, at most 1 in size; `rate` in Hz; `seconds` its length; `seed`: gives the same again.

    `doubtful`: sentences whose codes never looked complete. `notes`: what the text had to do without
    ("bert_missing", "polyphones_built_in").
    """

    pcm: Wave
    rate: int
    seconds: float
    seed: int
    doubtful: int
    notes: tuple[str, ...]


class Precise(Pooled, Protocol):
    """Something of the pool that is made ready in the engine's precision."""

    precision: Precision


class StandingSource(Protocol):
    """Where a base comes from, as `VoiceSource`."""

    def key(self) -> str: ...

    def load(self) -> Precise: ...


P = TypeVar("P", bound=Precise)


class Synthesiser:
    """Voices, models and remembered references. Thread-safe; every method may be called by many threads at once."""

    def __init__(
        self,
        *,
        models: Path | Mounted | None = None,
        budget: int = BUDGET,
        attempts: int = ATTEMPTS,
        precision: Precision | None = None,
    ) -> None:
        """models: folder of a deployment with HuBERT, BERT, the speaker encoder and vocoders, None when there is none.

        budget: bytes for loaded voices. attempts: how often a sentence is drawn until its codes look complete.
        precision: None = single precision, which gives upstream's codes.
        """
        self.models = Mounted(models) if isinstance(models, Path) else models
        self.references = References()
        self.vocoders: Vocoders | None = None
        if self.models is not None:
            self.vocoders = Vocoders(self.models.folder, precision=(precision or Precision()).acoustic)
        # Voices, and bases that stay while voices come and go.
        self._pool: VoicePool[Any] = VoicePool(budget)
        self._attempts = attempts
        self._precision = precision or Precision()

    def speak(
        self, voice: VoiceSource, request: TtsRequest, *, progress: Callable[[float], None] | None = None
    ) -> Speech:
        """The whole text at once, whatever the request's streaming mode.

        progress(share) is called with growing shares, at last 1.0; what it raises stops the work. Raises EngineError:
        of text, references, voice files and checkpoints, SynthesisFailed, NoRoom.
        """
        request, report = request.seeded(), progress or _ignore
        with self._lease(voice) as loaded:
            wider = self._extension(loaded, request)
            job = self._prepared(loaded, request)
            order = to_batch(
                [len(sentence.normalised) for sentence in job.sentences],
                request.batch_size,
                request.batch_threshold,
                bucket=request.split_bucket and request.speed_factor == 1.0,
            )
            speaker = Speaker(job, attempts=self._attempts)
            batches: list[list[Said]] = []
            done = 0
            for indices in order:

                def within(share: float, done: int = done, count: int = len(indices)) -> None:
                    report((done + share * count) / len(job.sentences) * 0.99)

                batches.append(speaker.say(indices, within))
                done += len(indices)
        fragments = restored([[said.wave for said in row] for row in batches], order)
        speech = _whole(job, fragments, sum(not said.complete for row in batches for said in row), wider)
        report(1.0)
        return speech

    def speak_together(self, asked: Sequence[tuple[VoiceSource, TtsRequest]]) -> list[Speech | EngineError]:
        """Several requests, each with its own voice, as `speak` answers each alone (v3 and v4: but for rounding); what
        is refused or fails stands in its place and stops no other.

        Voices on one base are read and sampled in one batch. All of them are loaded at the same time: those that do not
        fit into the budget beside the others are refused (`no_room`). Requests with upstream's quirks are spoken one by
        one, because their sentences share one stream of randomness.
        """
        answers: list[Speech | EngineError | None] = [None] * len(asked)
        with ExitStack() as leases:
            ready: list[tuple[int, Speaker, BandExtension | None]] = []
            for place, (voice, request) in enumerate(asked):
                try:
                    if request.compat is not None:
                        answers[place] = self.speak(voice, request)
                        continue
                    loaded = leases.enter_context(self._lease(voice))
                    wider = self._extension(loaded, request)
                    job = self._prepared(loaded, request.seeded())
                except EngineError as refusal:
                    answers[place] = refusal
                    continue
                ready.append((place, Speaker(job, attempts=self._attempts), wider))
            rows = said_together([speaker for _, speaker, _ in ready])
            for (place, speaker, wider), said in zip(ready, rows, strict=True):
                if isinstance(said, EngineError):
                    answers[place] = said
                    continue
                doubtful = sum(not one.complete for one in said)
                answers[place] = _whole(speaker.job, [one.wave for one in said], doubtful, wider)
        return [answer for answer in answers if answer is not None]

    def stream(self, voice: VoiceSource, request: TtsRequest) -> Iterator[Wave]:
        """The sound in packets of float32 samples, one after the other; nothing happens before the first is asked for.

        By the request's streaming mode: 0 one packet, 1 one for each sentence (with the pause before it), 2 and 3 many
        for each sentence. Close the iterator to stop early: the voice is given back then. Raises as `speak`.
        """
        with closing(self.packets(voice, request.seeded())) as stream:
            for _, packet in stream:
                yield packet

    def rate(self, voice: VoiceSource) -> int:
        """Sample rate of the voice in Hz; loads it if need be, and for v3 and v4 its vocoder."""
        with self._lease(voice) as loaded:
            if loaded.flow is None:
                return loaded.audio.sample_rate
            if self.vocoders is None:
                raise no_vocoder(loaded.version)
            return self.vocoders.of(loaded.version).sample_rate

    def version(self, voice: VoiceSource) -> str:
        """ "v1" to "v4" or "starter"; loads the voice if need be."""
        with self._lease(voice) as loaded:
            return loaded.version

    def report(self) -> PoolReport:
        """Measured memory of the loaded voices, and how many are in use."""
        return self._pool.report()

    def forget(self, voice: VoiceSource) -> bool:
        """Drop a voice that is not in use, and everything remembered of references. False when it is in use."""
        self.references.remembered.clear()
        return self._pool.drop(voice.key())

    def standing(self, base: StandingSource) -> AbstractContextManager[object]:
        """Within, the base is resident for the voices that stand on it; afterwards it stays while the budget allows.
        Raises what reading it raises, NoRoom."""
        return self._pool.lease(base.key(), lambda: self._precise(base.load()))

    def _precise(self, made: P) -> P:
        made.precision = self._precision
        return made

    def _lease(self, voice: VoiceSource) -> AbstractContextManager[LoadedVoice]:
        return self._pool.lease(voice.key(), lambda: self._precise(voice.load()))

    def _prepared(self, voice: LoadedVoice, request: TtsRequest) -> Job:
        models = self.models
        prosody = models.prosody if models is not None and models.has("prosody") else None
        return prepare(voice, request, self.references, models, prosody, self._polyphones(request), self.vocoders)

    def _extension(self, voice: LoadedVoice, request: TtsRequest) -> BandExtension | None:
        """What doubles the band, where the request asks for it. Raises EngineError `bad_request` for another version
        than v3 (upstream's quirk: nothing happens), CheckpointError `not_mounted`."""
        if not request.super_sampling or (voice.version != "v3" and request.compat == "upstream"):
            return None
        if voice.version != "v3":
            raise EngineError("bad_request", f"super_sampling is for v3 voices; this one is {voice.version}")
        if self.vocoders is None:
            raise no_vocoder(voice.version)
        return self.vocoders.extension()

    def _polyphones(self, request: TtsRequest) -> Polyphones | None:
        """The large model for Mandarin readings, only where it is mounted and the request can hold Mandarin."""
        models = self.models
        if models is None or not (models.has("polyphones") and models.has("prosody")):
            return None
        return models.polyphones() if MANDARIN & {request.text_lang, request.prompt_lang} else None

    def packets(self, voice: VoiceSource, request: TtsRequest) -> Generator[tuple[int, Wave], None, None]:
        """The packets of `stream` with their rate in Hz; `request` has its seed."""
        if not request.streaming_mode:
            speech = self.speak(voice, request)
            yield speech.rate, speech.pcm
            return
        with self._lease(voice) as loaded:
            job = self._prepared(loaded, request)
            speaker = Speaker(job, attempts=self._attempts)
            for packet in streamed(speaker):
                yield job.rate, packet


def _whole(job: Job, fragments: Sequence[Wave], doubtful: int, wider: BandExtension | None) -> Speech:
    """The sentences' sounds laid out, and widened where the request wants it."""
    pcm, rate = laid_out(fragments, job.rate, job.request.fragment_interval, compat=job.compat), job.rate
    if wider is not None:
        pcm, rate = wider.extend(torch.from_numpy(pcm)[None])[0].numpy().copy(), TARGET_RATE
    return Speech(
        pcm=pcm, rate=rate, seconds=len(pcm) / rate, seed=job.request.seed, doubtful=doubtful, notes=job.notes
    )


def _ignore(_: float) -> None:
    """Nobody asked for progress."""
