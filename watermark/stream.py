"""The other door from PCM to bytes that may leave: while the sound is still being made. Shut by the first failure.

    begin()   head of the file with its AIGC label, then the audible label
    push()    speech: marked, encoded; held back until the mark in it can be proved
    finish()  the rest, and the same second half as every seal: credential, statement, every layer read back

What leaves has passed already. The label goes first. No speech leaves before the mark is readable in what leaves, to
one in a million among a million outputs, through the very encoding it leaves in; each further ten seconds are read
back as they leave, the whole at the end. The finished file is put together from the very bytes that were handed out,
so it cannot be another sound. After a SealError the stream gives nothing more, whatever it is asked.

Two things of `watermark.seal` cannot be done ahead of time: the label's level cannot follow a speech that nobody has
heard, so it is made for loud speech and what would be louder is turned down to that (LOUDEST_DBFS); and a second mark
needs the whole narration, so streams have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import numpy as np
import soxr

from watermark.codec import fingerprint, grid
from watermark.codec.codeword import check_key, check_payload
from watermark.codec.detect import Detector, threshold
from watermark.codec.embed import DEFAULT_STRENGTH, STRENGTH_STEP, embed_stream
from watermark.codec.grid import EMBED_RATES, Wave
from watermark.codec.loudness import MAX_STRENGTH
from watermark.codec.stream import MarkStream
from watermark.codec.transcode import voice_note
from watermark.labels import aigc, audible, encode, manifest
from watermark.labels.profile import LabelProfile
from watermark.labels.streamed import STREAMED, StreamedFile
from watermark.seal import (
    PROVABLE_AMONG,
    REHEARSAL,
    MarkedSound,
    Sealed,
    SealError,
    Sign,
    Step,
    Verify,
    certified,
    label_facts,
    step,
)

LOUDEST_DBFS: Final = -14.0
"""Active level of the loudest speech that leaves: the label before it is as loud as that speech asks for."""
RAMP_SECONDS: Final = 0.02
"""How long turning down takes, so that it does not click."""
FIRST_SECONDS: Final = 0.5
"""Speech that is looked at before anything is known of its mark; no mark can be proved in less."""
PATIENCE_SECONDS: Final = 2.0
"""Speech in which a mark of ordinary strength should have become readable; only then it is made stronger."""
BLOCK_SECONDS: Final = 10.0
"""How much speech is read back at a time once the stream runs."""


class StreamSeal:
    """One sound on its way out. The arguments are `watermark.seal.seal`'s; ``rate`` is that of the PCM to come.

    Belongs to one thread. Every method raises SealError and nothing else. ``seconds`` is how much speech was handed
    out; ``label_seconds`` is how long label and silences are.
    """

    def __init__(
        self,
        rate: int,
        *,
        payload: int,
        mark_key: bytes,
        label_profile: LabelProfile,
        language: str,
        content_id: str,
        provider_code: str,
        created: datetime,
        sign: Sign,
        verify: Verify,
        credential: manifest.Credential,
        rehearsal: bool,
        container: str = "wav",
        output_rate: int | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> None:
        self.seconds, self.label_seconds = 0.0, 0.0
        self._stage = "new"
        self._steps: list[Step] = []
        self._payload, self._key, self._profile = payload, mark_key, label_profile
        self._certify: Callable[..., Sealed] = lambda data, **known: certified(
            data, container=container, label=self._label, label_profile=label_profile, mark_key=mark_key,
            created=created, sign=sign, verify=verify, credential=credential, claims=claims, steps=self._steps, **known,
        )  # fmt: skip
        with self._guarded("request"):
            check_key(mark_key)
            check_payload(payload)
            if created.tzinfo is None:
                raise ValueError("the time of making must carry a time zone")
            if container not in STREAMED:
                raise ValueError(f"{container!r} cannot be streamed; {', '.join(STREAMED)} can")
            if "start" not in label_profile.positions:
                raise ValueError("a stream needs a label before the sound, and this profile has none")
            self._rate = output_rate or rate
            if self._rate not in EMBED_RATES or rate not in EMBED_RATES:
                raise ValueError(f"no output has a rate of {self._rate} Hz, or no speech one of {rate} Hz")
            self._label = aigc.AigcLabel.produced(
                provider_code=provider_code, content_id=content_id, reserved=REHEARSAL if rehearsal else ""
            )
            self._file = StreamedFile(self._rate, container, self._label)
            self._before, self._after = audible.blocks(LOUDEST_DBFS, self._rate, label_profile, language)
            self._heard = label_facts(label_profile, language, (len(self._before) + len(self._after)) / self._rate)
            self._resample = soxr.ResampleStream(rate, self._rate, 1, dtype="float32") if rate != self._rate else None
        self._gain = 1.0
        self._marks: MarkStream | None = None
        self._strength = DEFAULT_STRENGTH
        self._held: list[Wave] = []
        self._marked: list[Wave] = []
        self._unread: list[Wave] = []

    @property
    def running(self) -> bool:
        """Whether speech has been handed out."""
        return self._marks is not None

    def begin(self) -> bytes:
        """The head of the file and the audible label."""
        with self._guarded("audible label", come_from="new", go_to="begun"):
            out = self._file.head() + self._file.add(self._before)
            self.label_seconds = len(self._before) / self._rate
            self._steps.append(Step("audible label", self._heard))
            return out

    def push(self, pcm: Wave) -> bytes:
        """The next speech or pause (float mono (samples,), -1..1): what may leave now, perhaps nothing yet."""
        with self._guarded("watermark", come_from="begun"):
            return self._through(self._at_level(self._at_rate(_checked(pcm), last=False)), last=False)

    def finish(self) -> tuple[bytes, Sealed]:
        """The rest of the file, and the deliverable. Nothing of the rest may leave before the deliverable is kept."""
        with self._guarded("watermark", come_from="begun"):
            rest = self._through(self._at_level(self._at_rate(np.zeros(0, np.float32), last=True)), last=True)
            if self._unread:
                self._read_back(np.concatenate(self._unread))
            wave = np.concatenate(self._marked)
            self._steps.append(Step("watermark", {"strength_db": round(self._strength, 2)}))
            known = MarkedSound(
                self._payload,
                fingerprint.fingerprint(wave, self._rate),
                self._strength,
                Detector(self._key).score(*voice_note(wave, self._rate), self._payload),
            )
        with self._guarded("encode", come_from="begun", go_to="ended"):
            rest += self._file.add(self._after) + self._file.end()
            self.label_seconds += len(self._after) / self._rate
            data = self._file.whole()
            self._steps.append(Step("encode", {"container": self._file.container}))
        with self._guarded("metadata", come_from="ended"):
            if aigc.read_label(data, self._file.container) != self._label:
                raise ValueError("the label did not read back as written")
            self._steps.append(Step("metadata", {"label": self._label.to_json()}))
        with self._guarded("equal to the stream", come_from="ended", go_to="sealed"):
            sealed = self._certify(data, marked=known, heard=self._heard, label_seconds=self.label_seconds)
            if self._file.sound() not in sealed.data:
                raise ValueError("the finished file does not hold what was streamed")
        return rest, sealed

    # -- on the way ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _guarded(self, name: str, *, come_from: str = "new", go_to: str = "") -> Iterator[None]:
        """A step, in its place. Whatever fails inside shuts the stream for good."""
        try:
            with step(name):
                if self._stage != come_from:
                    raise ValueError(f"the stream is {self._stage}, not {come_from}")
                yield
        except SealError:
            self._stage = "shut"
            raise
        self._stage = go_to or self._stage

    def _at_rate(self, pcm: Wave, *, last: bool) -> Wave:
        if self._resample is None:
            return pcm
        return np.clip(np.asarray(self._resample.resample_chunk(pcm, last=last), np.float32), -1, 1)

    def _at_level(self, wave: Wave) -> Wave:
        """Turned down to LOUDEST_DBFS where it is louder, for good: a level that went up again would pump."""
        try:
            level = audible.active_level_dbfs(wave, self._rate)
        except audible.Unlabelled:  # silent, or too short to have a level
            return wave * np.float32(self._gain)
        gain = min(self._gain, 10 ** ((LOUDEST_DBFS - level) / 20))
        ramp = np.full(len(wave), gain, np.float32)
        steps = min(len(wave), round(RAMP_SECONDS * self._rate))
        if self._marks is not None or self._held:
            ramp[:steps] = np.linspace(self._gain, gain, steps, dtype=np.float32)
        self._gain = gain
        return np.asarray(wave * ramp, np.float32)

    def _through(self, wave: Wave, *, last: bool) -> bytes:
        """Marks what came; hands out nothing until the mark in it is provable."""
        if self._marks is None:
            self._held.append(wave)
            marked = self._first(np.concatenate(self._held), last=last)
            if marked is None:
                return b""
        else:
            marked = self._marks.push(wave)
            if last:
                marked = np.concatenate([marked, self._marks.flush()])
        self._marked.append(marked)
        self._unread.append(marked)
        self.seconds += len(marked) / self._rate
        if self.seconds > grid.MAX_SECONDS:
            raise ValueError(f"more than {grid.MAX_SECONDS:.0f} s of sound")
        if sum(map(len, self._unread)) >= BLOCK_SECONDS * self._rate:
            self._read_back(np.concatenate(self._unread))
        return self._file.add(marked)

    def _first(self, held: Wave, *, last: bool) -> Wave | None:
        """The beginning, marked as strongly as it takes; None while that cannot be told yet."""
        length = len(held) / self._rate
        if length < FIRST_SECONDS and not last:
            return None
        strength = DEFAULT_STRENGTH
        while True:
            marks = embed_stream(self._rate, self._payload, self._key, strength)
            marked = marks.push(held)
            if last:
                marked = np.concatenate([marked, marks.flush()])
            if self._score(marked) >= threshold(*PROVABLE_AMONG):
                self._marks, self._strength, self._held = marks, strength, []
                return marked
            if (length < PATIENCE_SECONDS and not last) or strength >= MAX_STRENGTH:
                break
            strength = min(strength * STRENGTH_STEP, MAX_STRENGTH)
        if last:
            raise ValueError(f"the mark cannot be read in {length:.1f} s of sound at {strength:.1f} dB")
        return None

    def _read_back(self, wave: Wave) -> None:
        self._unread = []
        if len(wave) < BLOCK_SECONDS * self._rate / 2:
            return  # too little to be judged by itself; the whole is read at the end
        score = self._score(wave)
        if score < threshold(*PROVABLE_AMONG):
            raise ValueError(f"the mark reads back at {score:.1f} in {len(wave) / self._rate:.1f} s")

    def _score(self, wave: Wave) -> float:
        """The mark's score through the encoding that leaves; 0 where there is too little sound."""
        if len(wave) < FIRST_SECONDS * self._rate / 2 or float(np.abs(wave).max()) < grid.SILENCE_RMS:
            return 0.0
        heard, rate = wave, self._rate
        if self._file.container != "wav":
            heard, rate = encode.decode(encode.encode(wave, self._rate, self._file.container))
        return Detector(self._key).score(heard, rate, self._payload)


def _checked(pcm: Wave) -> Wave:
    if not isinstance(pcm, np.ndarray) or pcm.ndim != 1 or not np.issubdtype(pcm.dtype, np.floating):
        raise ValueError("speech is float mono")
    if not np.isfinite(pcm).all() or (len(pcm) and float(np.abs(pcm).max()) > 1.0):
        raise ValueError("samples must be finite and lie in -1..1")
    return np.asarray(pcm, np.float32)
