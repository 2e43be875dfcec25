"""`python -m cloning.engine.evaluate.speak PLAN OUT`: let a voice say texts, in a process of its own.

Of its own, so that memory and time are the voice's and not the recognisers'. PLAN is what `Plan.to_json` gives; OUT
receives ID.wav for every text that was said, and results.json. Voice files speak as the platform speaks
(`synthesis.synthesise`), official folders as the service does (`tts.engine.Engine`).
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from cloning.engine.bases import shipped
from cloning.engine.checkpoints import read_bounded
from cloning.engine.diffusion_config import DIFFUSION
from cloning.engine.errors import EngineError
from cloning.engine.pieces import ReadyVoice
from cloning.engine.synthesis import SpeechRequest, synthesise
from cloning.engine.tts.engine import Engine
from cloning.engine.tts.official import OfficialFolder, source
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.voice import VoiceSource
from cloning.engine.voicefile import MOST_BYTES, unpack

RESULTS = "results.json"
#: Where an official voice's folder may hold its models folder.
MODELS = "models"
#: Texts of the speed measurement, and rounds of each: the least time counts.
SPEED_TEXTS, SPEED_ROUNDS = 4, 2
#: Steps of the flow of v3 and v4, as the service takes them by default.
STEPS = 32
#: Streaming by packets of a fixed number of codes.
PACKETS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to say. `texts`: (id, text, seed). `models`: the models folder of an official voice, "" for its own.
    `steps`: of a v3 or v4 voice's flow. temperature, top_k: None = the default of the voice's model."""

    voice: str
    language: str
    texts: tuple[tuple[str, str, int], ...]
    speed_texts: tuple[str, ...]
    threads: int
    temperature: float | None
    top_k: int | None
    split: str
    models: str = ""
    steps: int = STEPS

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        row = json.loads(text)
        texts = tuple((name, said, int(seed)) for name, said, seed in row.pop("texts"))
        return cls(texts=texts, speed_texts=tuple(row.pop("speed_texts")), **row)


@dataclass(frozen=True, slots=True)
class Utterance:
    """`wave` float32 (samples,) at `rate`; `doubtful` fragments whose codes never looked complete."""

    wave: npt.NDArray[np.float32]
    rate: int
    doubtful: int


class Mouth:
    """One voice, however it is kept."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        voice = Path(plan.voice)
        self.source: VoiceSource = source(voice, models=Path(plan.models) if plan.models else voice / MODELS)
        self.engine = Engine(models=_models(self.source, plan))
        self.official = isinstance(self.source, OfficialFolder)
        place = getattr(self.source, "path", None)
        self.voice = None if place is None else unpack(read_bounded(place, MOST_BYTES), base=shipped)

    def say(self, text: str, seed: int) -> Utterance:
        """Raises EngineError."""
        if self.voice is None:
            whole = self.engine.speak(self.source, self.request(text, seed))
            return Utterance(whole.pcm, whole.rate, whole.doubtful)
        said = synthesise(self.voice, self.spoken_request(text, seed))
        return Utterance(said.pcm, said.rate, said.doubtful)

    def request(self, text: str, seed: int, streaming: int = 0) -> TtsRequest:
        """Of an official voice, as the service is asked."""
        asked = {"temperature": self.plan.temperature, "top_k": self.plan.top_k}
        return TtsRequest(
            text=text,
            text_lang=self.plan.language,
            seed=seed,
            text_split_method=self.plan.split,
            sample_steps=self.plan.steps,
            streaming_mode=streaming,
            **{name: value for name, value in asked.items() if value is not None},  # type: ignore[arg-type]
        )

    def spoken_request(self, text: str, seed: int) -> SpeechRequest:
        """Of a voice file, as the platform asks."""
        plan = self.plan
        return SpeechRequest(
            text, seed=seed, language=plan.language, temperature=plan.temperature, top_k=plan.top_k,
            split_method=plan.split,
        )  # fmt: skip

    def speed(self, texts: Sequence[str]) -> dict[str, Any]:
        """A loaded voice: seconds of work for a second of speech, and seconds to the first packet of a stream. A voice
        file speaks by pieces, as the platform streams it."""
        ready = None if self.voice is None else ReadyVoice(self.voice)
        factors, cpu_factors, firsts = [], [], []
        for text in texts:
            rounds = [self._timed(text, ready) for _ in range(SPEED_ROUNDS)]
            factors.append(min(row[0] for row in rounds))
            cpu_factors.append(min(row[1] for row in rounds))
            firsts.append(min(row[2] for row in rounds))
        return {
            "real_time_factor": _median(factors),
            "cpu_factor": _median(cpu_factors),
            "first_audio_seconds": _median(firsts),
        }

    def _timed(self, text: str, ready: ReadyVoice | None) -> tuple[float, float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        if ready is not None:
            samples, first = 0, None
            for piece in ready.pieces(self.spoken_request(text, 1)):
                first = time.perf_counter() - wall if first is None else first
                samples += len(piece.pcm)
            seconds, wall, cpu = samples / ready.rate, time.perf_counter() - wall, time.process_time() - cpu
            return wall / seconds, cpu / seconds, first or wall
        speech = self.engine.speak(self.source, self.request(text, 1))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        began = time.perf_counter()
        stream = self.engine.stream(self.source, self.request(text, 1, PACKETS))
        next(stream)
        first = time.perf_counter() - began
        stream.close()  # type: ignore[attr-defined]
        return wall / speech.seconds, cpu / speech.seconds, first


def run(plan: Plan, out: Path) -> dict[str, Any]:
    """Says everything; a refusal is a result, not an error."""
    torch.set_num_threads(plan.threads)
    mouth = Mouth(plan)
    rows: dict[str, dict[str, Any]] = {}
    for name, text, seed in plan.texts:
        try:
            said = mouth.say(text, seed)
        except EngineError as error:
            rows[name] = {"refused": error.code, "message": error.message}
            continue
        soundfile.write(out / f"{name}.wav", said.wave, said.rate, subtype="PCM_16")
        rows[name] = {"seconds": round(len(said.wave) / said.rate, 3), "doubtful": said.doubtful}
    speed = mouth.speed(plan.speed_texts)
    speed["peak_memory_mb"] = _peak_memory()
    speed["threads"] = plan.threads
    return {"said": rows, "speed": speed, "voice": _about(mouth)}


def main() -> int:
    plan_path, out = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        results = run(Plan.from_json(plan_path.read_text("utf-8")), out)
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    (out / RESULTS).write_text(json.dumps(results), "utf-8")
    return 0


def _about(mouth: Mouth) -> dict[str, Any]:
    voice = mouth.voice
    facts: dict[str, Any] = {"key": mouth.source.key(), "kind": "official folder" if voice is None else "voice file"}
    if voice is None:
        facts["version"] = mouth.engine.version(mouth.source)
        if facts["version"] in DIFFUSION:
            facts["steps"] = mouth.plan.steps
    else:
        facts |= {"version": voice.config.version, "base_digest": voice.base_digest, "training": dict(voice.training)}
    return facts


def _models(voice: VoiceSource, plan: Plan) -> Path | None:
    if not isinstance(voice, OfficialFolder):
        return None
    place = Path(plan.models) if plan.models else voice.folder / MODELS
    if not place.is_dir():
        raise EngineError("no_listener", "there is no models folder; name it with --models")
    return place


def _peak_memory() -> float | None:
    """Largest resident memory of this process in MB, Python and torch included; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    found = [line.split()[1] for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM:")]
    return round(int(found[0]) / 1024, 1) if found else None


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 4) if values else None


if __name__ == "__main__":
    raise SystemExit(main())
