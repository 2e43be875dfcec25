"""`python -m cloning.engine.say --voice FOLDER_OR_FILE --text TEXT --out FILE.wav`: hear a voice without the platform.

A folder is an official voice (tts.official) or holds one voice file; a file is a voice file. Writes 16-bit mono. The
sound carries no watermark and no label: this is the bare engine, for work on the engine.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

import numpy as np
import soundfile

from cloning.engine.bases import shipped
from cloning.engine.checkpoints import read_bounded
from cloning.engine.errors import EngineError, VoiceFileError
from cloning.engine.synthesis import SpeechRequest, synthesise
from cloning.engine.tts.engine import Engine
from cloning.engine.tts.join import Wave, to_int16
from cloning.engine.tts.official import OfficialFolder, VoiceFile, source
from cloning.engine.tts.request import TtsRequest
from cloning.engine.voicefile import MOST_BYTES, unpack

#: Where an official voice's folder may hold the models it needs (HuBERT, BERT, speaker encoder).
MODELS = "models"


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 said, 1 refused (the reason is on stderr)."""
    options = _parser().parse_args(arguments)
    seed = secrets.randbits(31) if options.seed is None else options.seed
    try:
        models = options.models if options.models is not None else options.voice / MODELS
        voice = source(options.voice, models=models)
        if isinstance(voice, OfficialFolder):
            pcm, rate, notes = _official(voice, options, seed)
        elif isinstance(voice, VoiceFile):
            pcm, rate, notes = _file(voice.path, options, seed)
        else:
            raise VoiceFileError("no_voice", "there is no voice of that name")
        soundfile.write(options.out, to_int16(pcm, compat=options.compat), rate, format="WAV", subtype="PCM_16")
    except (EngineError, OSError, soundfile.SoundFileError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    sys.stdout.write(f"{options.out}: {len(pcm) / rate:.2f} s at {rate} Hz, seed {seed}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloning.engine.say", description="Say a text with a voice.")
    parser.add_argument("--voice", type=Path, required=True, help="official folder, voice file, or a folder with one")
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--language", default=None, help="en, zh, ja, ko, yue, all_zh, auto ...; default: the voice's")
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same sound; drawn if absent")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--split", default="cut5", help="cut0 to cut5")
    parser.add_argument("--device", default="cpu", help="voice files only; official folders speak on the CPU")
    official = parser.add_argument_group("official folders")
    official.add_argument(
        "--models", type=Path, default=None, help=f"models folder, vocoders and bases too; default: VOICE/{MODELS}"
    )
    official.add_argument("--reference", type=Path, default=None, help="recording of 3 to 10 s; default: the voice's")
    official.add_argument("--prompt-text", default=None, help="what the reference says; empty: speak without a prompt")
    official.add_argument("--prompt-language", default=None, help="default: --language")
    official.add_argument("--steps", type=int, default=32, help="v3 and v4: steps of a mel, 1 to 128")
    official.add_argument("--integrator", default="euler", help="v3 and v4: euler, midpoint or heun")
    official.add_argument("--super-sampling", action="store_true", help="v3: 48 kHz by the mounted band extension")
    official.add_argument("--compat", action="store_true", help="keep upstream's quirks")
    return parser


def _official(voice: OfficialFolder, options: argparse.Namespace, seed: int) -> tuple[Wave, int, tuple[str, ...]]:
    if options.device != "cpu":
        raise EngineError("bad_request", "official folders speak on the CPU")
    models = options.models if options.models is not None else voice.folder / MODELS
    if not models.is_dir():
        raise EngineError("no_listener", "there is no models folder; name it with --models")
    language = options.language or voice.language() or "auto"
    prompted = options.prompt_text is not None
    request = TtsRequest(
        text=options.text,
        text_lang=language,
        ref_audio_path=options.reference,
        prompt_text=options.prompt_text,
        prompt_lang=(options.prompt_language or language) if prompted else None,
        seed=seed,
        speed_factor=options.speed,
        sample_steps=options.steps,
        integrator=options.integrator,
        super_sampling=options.super_sampling,
        text_split_method=options.split,
        compat="upstream" if options.compat else None,
    )
    speech = Engine(models=models).speak(voice, request)
    return speech.pcm, speech.rate, speech.notes


def _file(path: Path, options: argparse.Namespace, seed: int) -> tuple[Wave, int, tuple[str, ...]]:
    if options.reference is not None or options.prompt_text is not None or options.compat:
        raise EngineError("bad_request", "a voice file speaks like the reference it keeps, and has no quirks to keep")
    voice = unpack(read_bounded(path, MOST_BYTES), base=shipped)
    request = SpeechRequest(
        text=options.text,
        seed=seed,
        language=options.language or voice.language,
        speed=options.speed,
        split_method=options.split,
    )
    speech = synthesise(voice, request, device=options.device)
    return np.asarray(speech.pcm), speech.rate, ()


if __name__ == "__main__":
    raise SystemExit(main())
