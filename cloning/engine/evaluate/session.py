"""One run of the command: several voices against one source, and the page with their sounds."""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from cloning.engine.errors import EngineError
from cloning.engine.evaluate import figures, goals, likeness, measure, page, source, speak
from cloning.engine.evaluate.hearing import RATE, NoRecogniser, Recogniser, at_rate, recogniser
from cloning.engine.evaluate.listening import Listener
from cloning.engine.evaluate.texts import Item
from cloning.engine.features.audio import mono
from cloning.engine.training.official_base import find_base
from cloning.engine.training.zero_shot import instant_voice
from cloning.engine.voicefile import pack

#: Longest that one voice may take for all its texts.
MOST_SECONDS = 4 * 3600
#: Sets that the speed is measured on, the first that is there.
_SPEED_SETS = ("open", "mandarin", "matrix", "hard")


class VoiceFailed(EngineError):
    """The process that let a voice speak failed (code `voice_failed`)."""


class Session:
    """Reads the source once. Raises BadSource, TrainingRefused, OSError."""

    def __init__(self, options: argparse.Namespace, texts: Sequence[Item], audio: Path) -> None:
        self.options, self.texts, self.audio = options, texts, audio
        self.speakers = source.read_source(options.source)
        self.found: Recogniser | NoRecogniser
        try:
            self.found = recogniser(options.language)
        except NoRecogniser as error:
            self.found = error
        self.listener = None if isinstance(self.found, NoRecogniser) else Listener(self.found, options.cache)
        self.waves: dict[str, dict[str, np.ndarray]] = {}

    @functools.cached_property
    def enrolled(self) -> likeness.Enrolled:
        return likeness.enrol(self.speakers)

    def voice(self, name: str, speaker_name: str, path: Path | None) -> dict[str, Any]:
        """One voice's part of the report. path None: zero-shot. Raises EngineError."""
        speaker = self.speakers.get(speaker_name)
        if speaker is None:
            known = ", ".join(sorted(self.speakers))
            raise source.BadSource("no_speaker", f"the source has no speaker {speaker_name}; it has {known}")
        folder = self.audio / name
        folder.mkdir(parents=True, exist_ok=True)
        _tell(f"{name}: speaking {len(self.texts)} texts")
        said = self._say(path or self._zero_shot(speaker, folder), folder)
        sentences = []
        for place, item in enumerate(self.texts):
            if place % 10 == 0:
                _tell(f"{name}: listening, {place} of {len(self.texts)}")
            sentences.append(self._sentence(item, speaker, said["said"][item.id], folder))
        _tell(f"{name}: comparing speakers and melodies")
        self.waves[name] = {row.item.id: row.wave for row in sentences if row.wave is not None}
        voice = {
            "name": name,
            "speaker": speaker_name,
            "held_out": speaker_name in self.options.held_out.split(","),
            "zero_shot": path is None,
            "about": said["voice"],
            "speed": said["speed"],
            "words": measure.recognised(self.options.language, self.found)
            | ({} if self.listener is None else {"sets": measure.words(sentences, self.listener)}),
            "identity": measure.identity(sentences, speaker, self.enrolled),
            "prosody": measure.melodies(sentences, speaker),
            "sentences": [row.to_dict() for row in sentences],
        }
        return voice | {"goals": goals.judged(voice | {"words": voice["words"].get("sets", {})})}

    def settings(self) -> dict[str, Any]:
        """What the figures depend on besides the voices."""
        options = self.options
        counts: dict[str, int] = {}
        for item in self.texts:
            counts[item.set] = counts.get(item.set, 0) + 1
        return {
            "language": options.language,
            "texts": ", ".join(f"{name} {count}" for name, count in counts.items()),
            "recogniser": self.found.code if isinstance(self.found, NoRecogniser) else self.found.name,
            "speaker_encoder": likeness.MODEL,
            "seed": options.seed,
            "temperature": "the voice's own" if options.temperature is None else options.temperature,
            "top_k": "the voice's own" if options.top_k is None else options.top_k,
            "split": options.split,
            "steps": options.steps,
            "threads": options.threads,
            "bootstrap_draws": figures.DRAWS,
            "bootstrap_seed": figures.SEED,
            "speakers": ", ".join(sorted(self.speakers)),
        }

    def html(self, report: Mapping[str, Any]) -> str:
        """The report's HTML with the first sentences of every set to listen to."""
        return page.render(report, {voice["name"]: self._players(voice) for voice in report["voices"]})

    def _say(self, path: Path, folder: Path) -> dict[str, Any]:
        options = self.options
        sets = {item.set for item in self.texts}
        timed = next(name for name in _SPEED_SETS if name in sets)
        plan = speak.Plan(
            voice=str(path),
            language=options.language,
            texts=tuple((item.id, item.text, options.seed + place) for place, item in enumerate(self.texts)),
            speed_texts=tuple(item.text for item in self.texts if item.set == timed)[: speak.SPEED_TEXTS],
            threads=options.threads,
            temperature=options.temperature,
            top_k=options.top_k,
            split=options.split,
            models="" if options.models is None else str(options.models),
            steps=options.steps,
        )
        written = folder / "plan.json"
        written.write_text(plan.to_json(), "utf-8")
        command = [sys.executable, "-m", "cloning.engine.evaluate.speak", str(written), str(folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
        try:
            done = subprocess.run(
                command, env=environment, timeout=MOST_SECONDS, check=False, capture_output=True, text=True
            )
        except subprocess.TimeoutExpired as error:
            raise VoiceFailed("voice_failed", f"{path} did not end within {MOST_SECONDS // 3600} hours") from error
        if done.returncode:
            raise VoiceFailed("voice_failed", f"{path}: {done.stderr.strip()[-500:]}")
        results: dict[str, Any] = json.loads((folder / speak.RESULTS).read_text("utf-8"))
        return results

    def _zero_shot(self, speaker: source.Speaker, folder: Path) -> Path:
        reference = speaker.reference
        if reference is None:
            raise source.BadSource("no_reference", f"{speaker.name} has no recording called {source.REFERENCE}")
        base = find_base(self.options.base)
        voice = instant_voice(base, reference.wave, reference.rate, reference.transcript, self.options.language)
        path = folder / "zero-shot.voice"
        path.write_bytes(pack(voice))
        return path

    def _sentence(self, item: Item, speaker: source.Speaker, row: Mapping[str, Any], folder: Path) -> measure.Sentence:
        wave = None
        if "refused" not in row:
            pcm, rate = soundfile.read(folder / f"{item.id}.wav", dtype="float32")
            wave = at_rate(mono(pcm), rate)
        listener, own = self.listener, speaker.said.get(item.id)
        return measure.Sentence(
            item=item,
            wave=wave,
            refused=row.get("refused", ""),
            doubtful=row.get("doubtful", 0),
            heard=None if listener is None else listener.hear(item, wave),
            source=listener.hear(item, own) if listener is not None and own is not None else None,
        )

    def _players(self, voice: Mapping[str, Any]) -> list[page.Player]:
        players, counts = [], dict.fromkeys((item.set for item in self.texts), 0)
        said = self.speakers[voice["speaker"]].said
        for item in self.texts:
            wave = self.waves[voice["name"]].get(item.id)
            if wave is None or counts[item.set] >= self.options.players:
                continue
            counts[item.set] += 1
            own = said.get(item.id)
            players.append(page.Player(item.id, item.text, _mp3(wave), None if own is None else _mp3(own)))
        return players


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _mp3(wave: np.ndarray) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, wave, RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.8)
    return out.getvalue()
