"""The recordings that a voice of the demo's speaker is measured against, and a minute to train it from.

    python -m demo.source_speech --voice awb --voice slt --voice cmn-Andy --out FOLDER
    python -m cloning.engine.train --speech FOLDER/awb/training --out awb.voice
    python -m cloning.engine.evaluate awb.voice awb=zero-shot --source FOLDER --held-out awb --out REPORT

FOLDER/VOICE receives every English test text of `cloning.engine.evaluate`, twelve other sentences that say who the
speaker is, `reference` for a zero-shot voice, and `training` with the sentences of a fine-tune, each as WAV and text.
`cmn-NAME`, a speaker of the program espeak-ng, says the Mandarin ones (no `training`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from cloning.engine.evaluate.source import REFERENCE
from cloning.engine.evaluate.texts import SETS, items
from cloning.engine.starter.corpus import MANDARIN_VOICE, RATE, VirtualSpeaker
from demo.flite.speaker import VOICES, speak
from demo.starter import mandarin

REFERENCE_TEXT = "My uncle keeps bees behind the old mill, and every autumn he sends us a jar of dark honey."
OTHER_TEXTS = (
    "A careful driver always looks twice before crossing the track.",
    "The bakery on our street smells wonderful at dawn.",
    "Both of the lamps in the hallway need a new bulb.",
    "Give me a minute and I shall find the right key.",
    "Their boat drifted past the lighthouse without a sound.",
    "You can borrow my ladder whenever you need it.",
    "Fresh snow had covered every roof in the valley.",
    "The judge listened patiently to both of the neighbours.",
    "Cook the rice gently until all the water is gone.",
    "Somebody has painted the fence a cheerful shade of blue.",
    "We counted nearly a hundred geese above the marsh.",
    "That joke was funny the first time, but not the fourth.",
)
TRAINING_TEXTS = (
    "The postman brought a heavy parcel for the lady upstairs.",
    "I usually walk to the office unless it is snowing.",
    "Why does the moon look larger near the horizon?",
    "She measured the cloth twice and cut it only once.",
    "Our cousins raise sheep on a windy hill in the north.",
    "The choir will perform in the cathedral on Thursday.",
    "He polished his boots until they shone like glass.",
    "Do you remember the name of that tiny fishing harbor?",
    "A good knife, a clean board, and a little patience are enough.",
    "They argued about the route but agreed about the lunch.",
    "The orchestra tuned up while the audience found its seats.",
    "My neighbor grows beans, onions, and the sweetest peas.",
    "An honest mistake is quickly forgiven.",
    "The judge poured oil on the rusty hinge of the gate.",
    "Few visitors ever notice the carved owl above the arch.",
    "Yesterday the power failed just as we sat down to supper.",
    "Put the yellow folder on the shelf beside the globe.",
    "Young foxes were chasing each other through the tall grass.",
)
#: The same in Mandarin: `reference` first.
MANDARIN_TEXTS = (
    "我家门口有一棵老树，夏天的时候大家都在树下聊天。",
    "那家面包店的味道真香。",
    "走廊里的灯应该换新的。",
    "昨夜的雪盖住了所有的屋顶。",
    "他的船慢慢地经过灯塔。",
    "钥匙在抽屉里，你自己拿。",
    "这个笑话第一次听才有意思。",
    "邻居们在门前种了蔬菜。",
    "电影九点开始，别迟到。",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", action="append", help="several may be named; default: all of Flite's")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for voice in args.voice or VOICES:
        place = args.out / voice
        if voice.startswith(MANDARIN_VOICE):
            write_mandarin(place, voice)
            print(place)
            continue
        write(place, voice, ((item.id, item.spoken) for name in SETS["en"] for item in items(name)))
        write(place, voice, ((f"other-{number:02d}", text) for number, text in enumerate(OTHER_TEXTS, 1)))
        write(place, voice, [(REFERENCE, REFERENCE_TEXT)])
        write(place / "training", voice, ((f"{number:02d}", text) for number, text in enumerate(TRAINING_TEXTS, 1)))
        print(place)


def write(place: Path, voice: str, texts: Iterable[tuple[str, str]]) -> None:
    """NAME.wav (16 bits) and NAME.txt for every (name, text)."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in texts:
        wave, rate = speak(text, voice=voice)
        soundfile.write(place / f"{name}.wav", wave, rate, subtype="PCM_16")
        (place / f"{name}.txt").write_text(text + "\n", "utf-8")


def write_mandarin(place: Path, voice: str) -> None:
    """The Mandarin test texts, `reference` and the other sentences, by a speaker of espeak-ng."""
    reference, *others = MANDARIN_TEXTS
    named = [(item.id, item.spoken) for name in SETS["zh"] for item in items(name)]
    named += [(REFERENCE, reference), *((f"other-{number:02d}", text) for number, text in enumerate(others, 1))]
    place.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, text in named:
        said = mandarin.say(text, VirtualSpeaker(voice), rng, joined=True)
        if said is None:
            raise SystemExit(f"espeak-ng cannot say {text}")
        soundfile.write(place / f"{name}.wav", said.wave, RATE, subtype="PCM_16")
        (place / f"{name}.txt").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
