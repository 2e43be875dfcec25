"""`python -m cloning.engine.train --speech FOLDER_OR_LIST --out VOICE`: make a voice at a shell.

FOLDER holds NAME.wav (or flac, ogg, mp3) and NAME.txt with what is said; a list has lines `path|speaker|language|text`.
Control-C leaves a checkpoint beside the voice, from which `--resume` goes on to the same result; a second Control-C
ends at once. The voice file appears whole or not at all. `cloning.engine.say` speaks with it.

From a base of v3 or v4 the voice is a folder of official files, with a LoRA file of rank `--rank` or, with `--full`,
the whole generator.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cloning.engine.checkpoints import read_bounded
from cloning.engine.diffusion_config import DIFFUSION
from cloning.engine.errors import EngineError, TrainingFailed, TrainingRefused
from cloning.engine.features.mounted import Mounted
from cloning.engine.training.adapters import AdapterRecipe
from cloning.engine.training.base import Base
from cloning.engine.training.diffusion_base import diffusion_base, is_diffusion_base
from cloning.engine.training.diffusion_voice import train_diffusion
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.interrupts import interrupts
from cloning.engine.training.keep import write_whole
from cloning.engine.training.loop import MOST_BYTES as MOST_CHECKPOINT_BYTES
from cloning.engine.training.loop import CheckpointSink
from cloning.engine.training.official_base import find_base
from cloning.engine.training.recipe import MOST_FLOW_RANK, TrainingRecipe
from cloning.engine.training.recordings import read_recordings
from cloning.engine.training.show import Display
from cloning.engine.training.voice import train_voice
from cloning.engine.training.written import official_folder, reference, write_official
from cloning.engine.voicefile import unpack, unpack_adapters

RECIPES = ("demo", "thorough", "upstream", "tiny")
#: What is added to the voice's name for its checkpoint.
CHECKPOINT = ".checkpoint"
#: Where a base's folder may hold the models it needs (HuBERT, BERT, speaker encoder).
MODELS = "models"
#: Exit statuses: refused or failed, and stopped by Control-C.
REFUSED, STOPPED = 1, 130
LANGUAGES = ("en", "zh", "ja", "ko", "yue")


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 trained, 1 refused or failed (the reason is on stderr), 130 stopped by Control-C."""
    options = _parser().parse_args(arguments)
    display = Display(sys.stderr)
    try:
        _check_places(options)
        return _train(options, display)
    except TrainingFailed as error:
        display.end()
        sys.stderr.write(f"{error}\n")
        if error.code == "stopped" and _checkpoint(options.out).is_file():
            sys.stderr.write(f"go on with --resume; the checkpoint is {_checkpoint(options.out)}\n")
        return STOPPED if error.code == "stopped" else REFUSED
    except (EngineError, OSError, MemoryError) as error:
        display.end()
        sys.stderr.write(f"{str(error) or 'out_of_memory: the memory does not suffice'}\n")
        return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloning.engine.train", description="Train a voice.")
    parser.add_argument("--speech", type=Path, required=True, help="folder of NAME.wav and NAME.txt, or a list file")
    parser.add_argument("--out", type=Path, required=True, help="the voice file")
    parser.add_argument("--base", default="starter", help="starter, or a folder of official weights (.ckpt and .pth)")
    parser.add_argument("--recipe", choices=RECIPES, default="demo", help="tiny: a few steps, to try things out")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of recordings that name none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None, help="default: the recipe's")
    parser.add_argument("--adapters", action="store_true", help="train adapters: a voice of megabytes on its base")
    flow = parser.add_argument_group("bases of v3 and v4")
    flow.add_argument("--version", choices=DIFFUSION, default=None, help="for a file that does not say which it is")
    flow.add_argument("--rank", type=int, default=None, help="of the LoRA file, 1 to 128; default 32")
    flow.add_argument(
        "--parts", choices=("lean", "upstream"), default=None, help="lean: 13 MB for 75, likeness not measured"
    )
    flow.add_argument("--full", action="store_true", help="train the whole transformer; the file holds the generator")
    flow.add_argument("--recompute", action="store_true", help="gradient checkpointing: less memory, more time")
    parser.add_argument("--models", type=Path, default=None, help=f"models folder; default: BASE/{MODELS}")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint beside the voice")
    parser.add_argument("--keep", type=Path, default=None, help="also write the prepared material into this folder")
    parser.add_argument(
        "--official", type=Path, default=None, help="also write the voice as official weight files here"
    )
    return parser


def _check_places(options: argparse.Namespace) -> None:
    """What would only be found out after the training. Raises TrainingRefused, OSError."""
    folder = options.out.parent
    if options.out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise TrainingRefused("bad_place", f"{options.out} cannot be written")
    kept = _checkpoint(options.out).is_file()
    if options.resume and not kept:
        raise TrainingRefused("no_checkpoint", f"there is no checkpoint {_checkpoint(options.out)}")
    if kept and not options.resume:
        raise TrainingRefused("checkpoint_there", f"{_checkpoint(options.out)}: go on with --resume, or delete it")
    if options.rank is not None and (options.full or not 1 <= options.rank <= MOST_FLOW_RANK):
        raise TrainingRefused("bad_request", f"--rank is 1 to {MOST_FLOW_RANK}, and not for --full")
    if not 0 <= options.seed < 2**63 or (options.threads is not None and not 1 <= options.threads <= 256):
        raise TrainingRefused("bad_request", "the seed must be 0 to 2^63 - 1, and the threads 1 to 256")


def _train(options: argparse.Namespace, display: Display) -> int:
    if options.base != "starter" and is_diffusion_base(Path(options.base)):
        return _train_diffusion(options, display)
    if options.full or (options.rank, options.parts, options.version) != (None, None, None):
        raise TrainingRefused("bad_request", "--version, --rank, --parts and --full are for bases of v3 and v4")
    resume = _resumed(options)
    base = find_base(options.base)
    recordings = read_recordings(options.speech)
    hearing = _hearing(options, base)
    if options.official and (hearing is None or options.adapters):
        raise TrainingRefused("bad_request", "official files are written of official bases, without --adapters")
    if options.official:
        reference(recordings)  # its absence would only be noticed after the training

    with interrupts() as stopped:
        voice = train_voice(
            recordings, language=options.language, recipe=_recipe(options), base=base, seed=options.seed,
            progress=display, checkpoint=_saving(options.out, display), resume=resume,
            should_stop=lambda: bool(stopped), device=options.device, hearing=hearing, keep=options.keep,
        )  # fmt: skip
    display.end()
    write_whole(options.out, voice)
    if options.official:
        official_folder(options.official, voice, recordings, language=options.language)
    _checkpoint(options.out).unlink(missing_ok=True)
    trained = unpack_adapters(voice).training if options.adapters else unpack(voice).training
    _tell(options.out, len(voice), trained, len(recordings))
    return 0


def _train_diffusion(options: argparse.Namespace, display: Display) -> int:
    if options.adapters or options.official:
        raise TrainingRefused("bad_request", "a v3 or v4 voice is official files as it is, with pairs of its own")
    resume = _resumed(options)
    base = diffusion_base(Path(options.base), options.version)
    recordings = read_recordings(options.speech)
    hearing = _hearing(options, base.shared)
    assert hearing is not None
    reference(recordings, base.config.version)  # its absence would only be noticed after the training
    recipe = _recipe(options)
    with interrupts() as stopped:
        voice = train_diffusion(
            recordings, language=options.language, recipe=recipe, base=base, hearing=hearing, seed=options.seed,
            progress=display, checkpoint=_saving(options.out, display), resume=resume,
            should_stop=lambda: bool(stopped), device=options.device, keep=options.keep,
        )  # fmt: skip
    display.end()
    write_official(options.out, voice.version, voice.semantic, voice.acoustic, recordings, language=options.language)
    _checkpoint(options.out).unlink(missing_ok=True)
    _tell(options.out, len(voice.acoustic), voice.training, len(recordings))
    return 0


def _resumed(options: argparse.Namespace) -> bytes | None:
    return read_bounded(_checkpoint(options.out), MOST_CHECKPOINT_BYTES) if options.resume else None


def _saving(out: Path, display: Display) -> CheckpointSink:
    def save(data: bytes) -> None:
        try:
            write_whole(_checkpoint(out), data)
        except (TrainingRefused, OSError) as error:
            # The training is worth more than its checkpoint, and the one before is still there.
            display.note(f"no checkpoint was written: {error}")

    return save


def _hearing(options: argparse.Namespace, base: Base) -> OfficialHearing | None:
    if base.config.content.kind != "hubert":
        return None
    models = options.models if options.models is not None else Path(options.base) / MODELS
    if not models.is_dir():
        raise TrainingRefused("no_models", "an official base needs a models folder; name it with --models")
    return OfficialHearing(base, Mounted(models), compat=options.recipe == "upstream")


def _recipe(options: argparse.Namespace) -> TrainingRecipe:
    recipe: TrainingRecipe = getattr(TrainingRecipe, options.recipe)()
    if options.threads is not None:
        recipe = dataclasses.replace(recipe, threads=options.threads)
    flow = recipe.flow
    if options.rank is not None:
        flow = dataclasses.replace(flow, rank=options.rank)
    if options.parts is not None:
        flow = dataclasses.replace(flow, parts=options.parts)
    if options.full:
        flow = dataclasses.replace(flow, rank=None)
    recipe = dataclasses.replace(recipe, flow=flow, recompute=options.recompute)
    return dataclasses.replace(recipe, adapters=AdapterRecipe()) if options.adapters else recipe


def _checkpoint(out: Path) -> Path:
    return out.with_name(out.name + CHECKPOINT)


def _tell(out: Path, size: int, training: Mapping[str, int | float | str], given: int) -> None:
    sys.stdout.write(
        f"{out}: {size / 1e6:.1f} MB, from {training['speech_seconds']:g} s of speech in "
        f"{training['utterances']} pieces of {given} recordings; {training['dropped_seconds']:g} s left out\n"
    )
    for name in filter(None, str(training["notes"]).split(", ")):
        sys.stderr.write(f"note: {name}\n")
    if training["recordings_left_out"]:
        sys.stderr.write(f"note: left out: {training['left_out']}\n")
    for name in ("skipped_steps", "batches_halved"):
        if training[name]:
            sys.stderr.write(f"note: {name} {training[name]}\n")


if __name__ == "__main__":
    raise SystemExit(main())
