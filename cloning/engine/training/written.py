"""A trained voice as a folder of official weight files, which `say`, the service and other tools of the family read.

Unlike a voice file the folder holds a recording, because those tools speak like a reference that they hear anew.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import soundfile

from cloning.engine.diffusion_config import DIFFUSION
from cloning.engine.errors import TrainingRefused
from cloning.engine.export import export_acoustic, export_semantic
from cloning.engine.features import audio
from cloning.engine.features.reference_audio import ENCODER_RATE, PROMPT_SAMPLES
from cloning.engine.training.keep import with_room, write_whole
from cloning.engine.training.prepare import Recording
from cloning.engine.training.voice import REFERENCE_SECONDS
from cloning.engine.voicefile import unpack

#: Shortest reference of a v3 or v4 voice in seconds, its prompt window and some room; and the length that is sought.
LEAST_FLOW_SECONDS, FLOW_SECONDS = 5.2, 6.0
#: What the files are called; `tts.official` reads such a folder.
SEMANTIC, ACOUSTIC, REFERENCE, DESCRIPTION = "s1.ckpt", "s2.pth", "reference.wav", "voice.json"


def official_folder(folder: Path, voice: bytes, recordings: Sequence[Recording], *, language: str) -> None:
    """Write S1, S2, a reference of 3 to 10 s and the voice's description; only the owner may read them.

    Raises TrainingRefused `no_reference` (no recording of that length with a text) before anything is written,
    `disk_full`; CheckpointError for a voice that has no official form; OSError.
    """
    made = unpack(voice)
    info = f"trained {made.training['semantic_steps']} + {made.training['acoustic_steps']} steps"
    semantic = export_semantic(made.config, made.semantic, info=info)
    acoustic = export_acoustic(made.config, made.acoustic, info=info)
    write_official(folder, made.config.version, semantic, acoustic, recordings, language=language)


def write_official(
    folder: Path, version: str, semantic: bytes, acoustic: bytes, recordings: Sequence[Recording], *, language: str
) -> None:
    """The same of official files that are ready. Raises as `official_folder`."""
    prompt = reference(recordings, version)
    sound = io.BytesIO()
    soundfile.write(sound, audio.mono(prompt.wave), prompt.rate, format="WAV", subtype="PCM_16")
    described = {
        "version": version,
        "language": language,
        "reference": REFERENCE,
        "prompt_text": prompt.transcript,
        "prompt_lang": prompt.language or language,
    }
    files = {
        SEMANTIC: semantic,
        ACOUSTIC: acoustic,
        REFERENCE: sound.getvalue(),
        DESCRIPTION: json.dumps(described, ensure_ascii=False, indent=1).encode(),
    }
    with_room(lambda: folder.mkdir(parents=True, exist_ok=True))
    for name, data in files.items():
        write_whole(folder / name, data)


def reference(recordings: Sequence[Recording], version: str = "") -> Recording:
    """The recording with a text whose length is nearest to REFERENCE_SECONDS; for v3 and v4, which continue the last
    five seconds of it, nearest to FLOW_SECONDS among those that last long enough. Raises TrainingRefused
    `no_reference`."""
    least, most = (samples / ENCODER_RATE for samples in PROMPT_SAMPLES)
    wanted = REFERENCE_SECONDS
    if version in DIFFUSION:
        least, wanted = LEAST_FLOW_SECONDS, FLOW_SECONDS
    fitting = [r for r in recordings if r.transcript and least <= len(r.wave) / r.rate <= most]
    if not fitting:
        raise TrainingRefused("no_reference", f"no recording of {least:g} to {most:g} s came with its text")
    return min(fitting, key=lambda r: abs(len(r.wave) / r.rate - wanted))
