"""Make the starter voice base from nothing but synthesised speech, by one command:

    python -m demo.starter --work FOLDER

English speech, a content encoder and codebook for it, Mandarin speech, the encoder and codebook for both, S1 (text to
codes) and its practice, S2 (codes to sound), in this order; each stage continues from what the folder holds, so the
command can be stopped and started again at any time. `--only STAGE` runs one of them; several of `speech`, `mandarin`
and `items` may run at once. The base lies in FOLDER/base; `--install` copies it into the engine. Mandarin needs the
program espeak-ng.
The voice `awb` and a family of espeak-ng's are never trained on; they judge.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from cloning.engine import starter
from cloning.engine.errors import TrainingFailed
from cloning.engine.starter.practising import PractisingRecipe
from cloning.engine.starter.reading import ReadingRecipe
from cloning.engine.starter.singing import SingingRecipe
from cloning.engine.starter.sounding import SoundingRecipe
from cloning.engine.training import quick
from cloning.engine.training.base import ACOUSTIC_FILE, CONTENT_FILE, SEMANTIC_FILE, load_base
from cloning.engine.training.recipe import AcousticRecipe
from demo.starter import shards, stages
from demo.starter.mandarin import Timer

#: A batch of S2 is of eight.
MOST_THREADS = 8
#: Exit status when it was told to stop.
STOPPED = 130
STAGES = ("speech", "content", "mandarin", "bilingual", "items", "semantic", "practice", "vocoder", "acoustic", "pitch")
#: Only when asked for: it makes the vocoder of an S2 that speaks already anew.
ON_DEMAND = ("vocoder",)
#: Shards (twenty minutes each) of the whole corpus, and how many of them teach the content encoder and S2.
SHARDS, CONTENT_SHARDS, ACOUSTIC_SHARDS = 60, 12, 24
#: The same of Mandarin; all of them teach S1 and S2.
ZH_SHARDS, ZH_CONTENT_SHARDS = 12, 6
#: Utterances of the shards that are only measured with.
HELD_OUT = 40
CONTENT_STEPS, BILINGUAL_STEPS = 2400, 2700
#: Shards that the pitch head alone learns from at the end.
PITCH_SHARDS = {"train": 6, "zh_train": 8}
#: Of the alignment of Mandarin.
TIMER_SEED = 7
#: Share of S2's steps after which critics join; 1: never, as in the making of the shipped base.
CRITICS_FROM = 1.0
READING = ReadingRecipe()
#: Rounds in which S1 practises, and texts of each language that it reads in one.
PRACTICE_ROUNDS, PRACTICE_TEXTS = 1, {"en": 1600, "zh": 550}
SOUNDING = SoundingRecipe(
    AcousticRecipe(
        steps=6000, batch=8, batch_frames=1600, learning_rate=6e-4, text_rate=1.0, warm_up=100, final=0.1,
        betas=(0.8, 0.99), periodicity=80.0, listening=20.0,
    )
)  # fmt: skip
#: The vocoder and the pitch head alone, for `train_vocoder`.
VOCODER = replace(SOUNDING.acoustic, steps=900, learning_rate=1e-3, final=0.5, adversarial_from=None)


def main() -> int:
    """Exit status: 0 made, 130 stopped by Control-C or a termination; the same command goes on from there."""
    try:
        make(options())
    except TrainingFailed as error:
        if error.code != "stopped":
            raise
        sys.stderr.write(f"{error}; the same command goes on from there.\n")
        return STOPPED
    return 0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the corpus, the states and the base")
    parser.add_argument("--only", choices=STAGES, action="append", help="run this stage (may be repeated)")
    parser.add_argument("--shards", type=int, default=SHARDS, help="of twenty minutes of speech")
    parser.add_argument("--part", default="0/1", help="i/n: make every n-th shard, beginning with the i-th")
    parser.add_argument("--steps", type=int, help="of S1, the vocoder or S2, instead of the recipe's")
    parser.add_argument("--critics-from", type=float, default=CRITICS_FROM, help="share of S2's steps without critics")
    parser.add_argument("--threads", type=int, help=f"without it one for each core, at most {MOST_THREADS}")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--float32", action="store_true", help="single precision; without it bfloat16 where the processor gains by it"
    )
    parser.add_argument("--install", action="store_true", help="at the end, copy the base into the engine")
    return parser.parse_args()


def make(args: argparse.Namespace) -> None:
    """Run the stages that are asked for, each from where it is."""
    torch.set_num_threads(args.threads or min(MOST_THREADS, torch.get_num_threads()))
    torch.set_flush_denormal(True)
    place = stages.Place(args.work, args.device, quick.narrow(not args.float32, args.device))
    wanted = args.only or [stage for stage in STAGES if stage not in ON_DEMAND]
    first, _, stride = args.part.partition("/")
    numbers = range(int(first), args.shards, int(stride))
    for stage in (s for s in STAGES if s in wanted):
        if stage in ("speech", "mandarin", "items"):
            base = load_base(place.base) if stage == "items" else None
            timer = _timer(place) if stage == "mandarin" else None
            english = [*_shards("", numbers)] if stage != "mandarin" else []
            zh = [*_shards(shards.ZH, [n for n in numbers if n < ZH_SHARDS])] if stage != "speech" else []
            for kind, number, count in english + zh:
                if shards.make(args.work, kind, number, base, count, timer):
                    stages.say(f"{stage} {kind} {number}")
        elif stage == "content":
            stages.train_content(place, CONTENT_STEPS, min(CONTENT_SHARDS, args.shards))
        elif stage == "bilingual":
            stages.teach_mandarin(
                place, BILINGUAL_STEPS, min(CONTENT_SHARDS, args.shards), min(ZH_CONTENT_SHARDS, args.shards)
            )
        elif stage == "semantic":
            stages.train_semantic(place, replace(READING, steps=args.steps or READING.steps))
        elif stage == "practice":
            stages.practise_reading(place, PractisingRecipe(), PRACTICE_ROUNDS, PRACTICE_TEXTS)
        elif stage == "vocoder":
            acoustic = replace(VOCODER, steps=args.steps or VOCODER.steps)
            stages.train_vocoder(place, replace(SOUNDING, acoustic=acoustic, average=60), ACOUSTIC_SHARDS)
        elif stage == "pitch":
            stages.train_pitch(place, SingingRecipe(), PITCH_SHARDS)
        else:
            steps = args.steps or SOUNDING.acoustic.steps
            critics = round(args.critics_from * steps) if args.critics_from < 1 else None
            acoustic = replace(SOUNDING.acoustic, steps=steps, adversarial_from=critics)
            stages.train_acoustic(place, replace(SOUNDING, acoustic=acoustic), ACOUSTIC_SHARDS)
    if args.install:
        for name in (CONTENT_FILE, SEMANTIC_FILE, ACOUSTIC_FILE):
            shutil.copyfile(place.base / name, Path(starter.__file__).parent / name)


def _timer(place: stages.Place) -> Callable[[], Timer]:
    """What tells when Mandarin phones are spoken: it takes minutes to learn, and may not be needed."""
    return functools.cache(lambda: Timer.learn(stages.read_english(place)[0], TIMER_SEED))


def _shards(prefix: str, numbers: Iterable[int]) -> Iterator[tuple[str, int, int]]:
    """Kind, number and utterances of a language's shards."""
    yield from ((f"{prefix}{kind}", 0, HELD_OUT) for kind in ("held_out", "judge"))
    yield from ((f"{prefix}train", number, shards.SHARD) for number in numbers)


if __name__ == "__main__":
    sys.exit(main())
