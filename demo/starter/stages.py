"""The trainings of a starter base, each continuing from what the folder holds.

FOLDER/speech and items: the corpus in shards. FOLDER/NAME.state: where a training is, with optimiser. FOLDER/base: the
weights so far, in the files of the engine's starter folder.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import ContentConfig
from cloning.engine.config import starter as starter_config
from cloning.engine.features.content import ContentEncoder
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.starter import content, ears, mandarin_texts, texts
from cloning.engine.starter.items import TimedItem
from cloning.engine.starter.practising import PractisingRecipe, practise, prefer
from cloning.engine.starter.reading import ReadingRecipe, ReadingStage
from cloning.engine.starter.singing import SingingRecipe
from cloning.engine.starter.singing import train_pitch as train_pitch_head
from cloning.engine.starter.sounding import SoundingRecipe, SoundingStage
from cloning.engine.synthesis import STARTER_PHONES
from cloning.engine.text import to_phones
from cloning.engine.text.classes import ENGLISH
from cloning.engine.training.base import ACOUSTIC_FILE, CODES, CONTENT_FILE, SEMANTIC_FILE, Base, load_base
from cloning.engine.training.interrupts import interrupts
from cloning.engine.training.loop import Progress, Stage, freeze, restore, run, thaw
from cloning.engine.training.show import clock
from demo.starter import judge, shards

#: Where `train_content` leaves what `teach_mandarin` begins with, and the codes of its codebook.
ENGLISH_FILE, ENGLISH_CODES = "english.safetensors", 1024
#: Steps between two lines of the log.
REPORT_EVERY = 25
#: Of the texts that S1 practises with, together with the round's number.
PRACTICE_SEED = 107
#: Utterances that S2 says when it is measured.
MEASURED_COPIES = 16
#: The parts of S2 that `train_vocoder` makes anew.
VOCODER = ("dec", "pitch")


@dataclass(frozen=True)
class Place:
    """Where and on what a base is made."""

    work: Path
    device: str
    bfloat16: bool
    #: Seconds between two states on the disk.
    keep_seconds: float = 360.0

    @property
    def base(self) -> Path:
        return self.work / "base"


def say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}\n")
    sys.stdout.flush()


def train_content(place: Place, steps: int, shard_count: int) -> None:
    """Content encoder and codebook of English alone, from the first shards; done when the file is there."""
    if (place.work / ENGLISH_FILE).exists():
        return
    config = starter_config()
    train, held_out, awb = (
        [u for index in range(count) for u in shards.read_utterances(place.work / f"speech/{kind}-{index:04d}.st")]
        for kind, count in (("train", shard_count), ("held_out", 1), ("judge", 1))
    )
    recipe = content.ContentRecipe(steps=steps, bfloat16=place.bfloat16)
    stage = content.ContentStage(train, english_content(), recipe, seed=1, device=place.device)
    encoder = listener(stage, place)
    book = content.learn_codebook(
        encoder, train[:1500], codes=ENGLISH_CODES, frames_per_code=config.acoustic.frames_per_code, seed=1
    )
    facts = {
        "steps": str(steps),
        "accuracy_held_out": f"{content.phone_accuracy(encoder, held_out):.3f}",
        "accuracy_judge": f"{content.phone_accuracy(encoder, awb):.3f}",
    }
    write_content(place.work / ENGLISH_FILE, encoder, book, facts)


def teach_mandarin(place: Place, steps: int, english: int, mandarin_shards: int) -> None:
    """The same encoder for both languages, and codes added to its codebook; done when the file is there."""
    if (place.base / CONTENT_FILE).exists():
        return
    config = starter_config()
    teacher, book = read_english(place)
    measured = ("held_out", "judge", "zh_held_out", "zh_judge")
    counts = {"train": english, "zh_train": mandarin_shards, **dict.fromkeys(measured, 1)}
    spoken = {
        kind: [u for n in range(count) for u in shards.read_utterances(place.work / f"speech/{kind}-{n:04d}.st")]
        for kind, count in counts.items()
    }
    recipe = content.ContentRecipe(steps=steps, learning_rate=5e-4, bfloat16=place.bfloat16)
    stage = content.ContentStage(
        spoken["train"] + spoken["zh_train"], config.content, recipe, seed=1, device=place.device, teacher=teacher,
        name="bilingual",
    )  # fmt: skip
    encoder = listener(stage, place)
    book = content.learn_codebook(
        encoder, spoken["zh_train"][:1000], codes=config.acoustic.codes,
        frames_per_code=config.acoustic.frames_per_code, seed=1, fixed=book,
    )  # fmt: skip
    facts = {f"accuracy_{kind}": f"{content.phone_accuracy(encoder, spoken[kind]):.3f}" for kind in measured}
    write_content(place.base / CONTENT_FILE, encoder, book, {"steps": str(steps), **facts})


def english_content() -> ContentConfig:
    """Of the encoder that knows English only."""
    return replace(starter_config().content, phones=len(ENGLISH))


def read_english(place: Place) -> tuple[ContentEncoder, Tensor]:
    """The encoder and the codebook of `train_content`."""
    tensors = load_file(place.work / ENGLISH_FILE)
    book = tensors.pop("codebook").float()
    encoder = ContentEncoder(english_content())
    encoder.load_state_dict({name.removeprefix("content."): value.float() for name, value in tensors.items()})
    return encoder.eval(), book


def write_content(path: Path, encoder: ContentEncoder, codebook: Tensor, facts: dict[str, str]) -> None:
    say(json.dumps(facts))
    tensors = {f"content.{name}": value for name, value in encoder.state_dict().items()} | {"codebook": codebook}
    write_weights(path, tensors, facts)


def listener(stage: content.ContentStage, place: Place) -> ContentEncoder:
    """The encoder of a stage at its end, to listen with."""
    drive(stage, place, lambda step: None)
    return stage.encoder.cpu().eval()


def train_semantic(place: Place, recipe: ReadingRecipe) -> None:
    """S1, from the folder's own state, or else the weights in its base, or else random ones."""
    base = load_base(place.base)
    encoder = base.build_content()
    items = shards.read_items(shards.paths(place.work, "train") + shards.paths(place.work, "zh_train"))
    tests = {kind: shards.read_items(shards.paths(place.work, kind)) for kind in ("held_out", "zh_held_out")}
    say(f"{len(items)} utterances, {sum(len(i.codes) for i in items) / 25 / 3600:.1f} h")
    model = base.build_semantic(1)
    stage = ReadingStage(model, items, recipe, bfloat16=place.bfloat16, device=place.device)

    def keep(step: int) -> None:
        keep_average(stage, place, SEMANTIC_FILE, step, _measured_reading(stage.average.network, encoder, base, tests))

    drive(stage, place, keep)


def practise_reading(place: Place, recipe: PractisingRecipe, rounds: int, read: Mapping[str, int]) -> None:
    """S1 reads `read` texts of each language a round and learns to prefer its better readings; continues from the
    round that the base tells of."""
    path = place.base / SEMANTIC_FILE
    encoder = load_base(place.base).build_content()
    tests = {kind: shards.read_items(shards.paths(place.work, kind)) for kind in ("held_out", "zh_held_out")}
    with safe_open(path, "pt") as file:
        facts = dict(file.metadata() or {})
    for number in range(int(facts.get("practice_rounds", 0)), rounds):
        base = load_base(place.base)
        model = base.build_semantic(1)
        pairs = practise(
            model.eval(), ears.ears_of(base), _to_read(number, read), recipe, seed=number,
            report=lambda count: say(f"practice read {count}") if count % REPORT_EVERY == 0 else None,
        )  # fmt: skip
        say(f"practice round {number}: {len(pairs)} pairs")
        learnt = prefer(model, pairs, recipe, seed=number, device=place.device, report=_practised)
        told = _measured_reading(learnt, encoder, base, tests)
        facts |= {"practice_rounds": str(number + 1), **told}
        write_weights(path, learnt.state_dict(), facts)
        say(f"practice kept after round {number} {json.dumps(told)}")


def _practised(step: int, loss: float) -> None:
    if step % REPORT_EVERY == 0:
        say(f"practice {step} loss {loss:.3f}")


def _to_read(number: int, read: Mapping[str, int]) -> list[list[int]]:
    """Phone ids of a round's texts, each one fragment long."""
    rng = np.random.default_rng((PRACTICE_SEED, number))
    said = {"en": texts.text, "zh": mandarin_texts.text}
    found = [(to_phones(said[lang](rng), lang).ids, lang) for lang, count in read.items() for _ in range(count)]
    return [ids for ids, lang in found if len(ids) <= STARTER_PHONES[lang]]


def _measured_reading(
    network: torch.nn.Module, encoder: ContentEncoder, base: Base, tests: Mapping[str, list[TimedItem]]
) -> dict[str, str]:
    """Phone errors of S1, by the encoder's own ears: alone, behind a prompt, Mandarin; and the share that ended."""
    reader = copy.deepcopy(network).cpu()
    assert isinstance(reader, Text2Semantic)
    english, zh = tests["held_out"], tests["zh_held_out"]
    alone, ended = judge.phone_error_of_reading(reader, encoder, base.codebook, english)
    behind, _ = judge.phone_error_of_reading(reader, encoder, base.codebook, english, prompts_for(english))
    mandarin, _ = judge.phone_error_of_reading(reader, encoder, base.codebook, zh)
    figures = {"phone_error": alone, "behind_prompt": behind, "zh_phone_error": mandarin, "ended": ended}
    return {name: f"{value:.3f}" for name, value in figures.items()}


def prompts_for(tests: list[TimedItem]) -> list[TimedItem]:
    """For each test another one as its prompt: of the same speaker where there is one, else of the same voice."""

    def apart(a: TimedItem, b: TimedItem) -> tuple[bool, str]:
        return (a.speaker.partition("-")[0] != b.speaker.partition("-")[0], b.speaker)

    return [min((t for t in tests if t is not test), key=lambda t, test=test: apart(test, t)) for test in tests]  # type: ignore[misc]


def train_vocoder(place: Place, recipe: SoundingRecipe, shard_count: int) -> None:
    """A new vocoder and pitch head for a base whose S2 speaks already: random ones, and nothing else moves."""
    everything = load_base(place.base).build_acoustic(1)
    rest = {name.partition(".")[0] for name, _ in everything.named_parameters()} - set(VOCODER)
    alone = replace(recipe, acoustic=replace(recipe.acoustic, frozen=tuple(f"{name}." for name in sorted(rest))))
    train_acoustic(place, alone, shard_count, name="vocoder")


def train_acoustic(place: Place, recipe: SoundingRecipe, shard_count: int, name: str = "acoustic") -> None:
    """S2, from the folder's own state, or else the weights in its base, or else random ones; named "vocoder", its
    vocoder from random ones."""
    base = load_base(place.base)
    # A gain of the style would be learnt away.
    config = replace(base.config, acoustic=replace(base.config.acoustic, style_gain=1.0))
    encoder = base.build_content()
    model = replace(base, config=config).build_acoustic(1)
    if name == "vocoder":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            fresh = AcousticModel(base.config.acoustic, base.config.audio).state_dict()
        model.load_state_dict(model.state_dict() | {n: v for n, v in fresh.items() if n.startswith(VOCODER)})
    items = shards.read_items(
        shards.paths(place.work, "train")[:shard_count] + shards.paths(place.work, "zh_train")[:shard_count]
    )
    tests = {
        kind: shards.read_items(shards.paths(place.work, kind))[:MEASURED_COPIES]
        for kind in ("held_out", "zh_held_out")
    }
    stage = SoundingStage(
        model, items, recipe, base.build_content(), bfloat16=place.bfloat16, device=place.device,
        seed=1,
    )  # fmt: skip
    stage.name = name

    def measure() -> dict[str, str]:
        reader = copy.deepcopy(stage.average.network).cpu()
        assert isinstance(reader, AcousticModel)
        facts = {}
        for kind, some in tests.items():
            source, copies = judge.phone_error_of_copies(reader, encoder, some, prompts_for(some))
            facts |= {f"{kind}_source": f"{source:.3f}", f"{kind}_copy": f"{copies:.3f}"}
        return facts

    drive(stage, place, lambda step: keep_average(stage, place, ACOUSTIC_FILE, step, measure()))


def train_pitch(place: Place, recipe: SingingRecipe, counts: Mapping[str, int]) -> None:
    """The pitch head alone, in the S2 that the base holds, from the first shards of each kind; not when the base says
    that this was done."""
    path = place.base / ACOUSTIC_FILE
    with safe_open(path, "pt") as file:
        facts = dict(file.metadata() or {})
    if "pitch_steps" in facts:
        return
    model = load_base(place.base).build_acoustic(1)
    items = shards.read_items([p for kind, count in counts.items() for p in shards.paths(place.work, kind)[:count]])
    train_pitch_head(model, items, recipe, seed=1, report=lambda step, loss: say(f"pitch {step} loss {loss:.3f}"))
    learnt = {name: value for name, value in model.state_dict().items() if not name.startswith(CODES)}
    write_weights(path, learnt, {**facts, "pitch_steps": str(recipe.steps)})


class Making(Stage, Protocol):
    """A stage in the making of a base. `parts`: what its loss is made of, at the latest step."""

    parts: dict[str, float]


def drive(stage: Making, place: Place, keep: Callable[[int], None]) -> None:
    """Run a stage to its end, continuing from its state; `keep` is told the step wherever a state was written.

    Raises TrainingFailed `stopped` after Control-C or a termination, with the state of the step that was finished.
    """
    state = place.work / f"{stage.name}.state"
    start = 0
    if state.exists():
        about, tensors = thaw(state.read_bytes())
        start = about["step"]
        restore(tensors, stage.modules(), stage.optimisers())
    recent: list[float] = []
    kept = time.monotonic()

    def write(step: int) -> None:
        fresh = state.with_suffix(".new")
        fresh.write_bytes(freeze({"stage": stage.name, "step": step}, stage.modules(), stage.optimisers()))
        fresh.replace(state)

    def leave(step: int) -> None:
        # The state of the last step says that its weights were kept, which is yet to come.
        if step < stage.steps:
            write(step)

    def show(progress: Progress) -> None:
        nonlocal kept
        recent.append(progress.loss)
        if progress.step % REPORT_EVERY == 0:
            more = "".join(f" {name} {value:.3f}" for name, value in stage.parts.items())
            loss = np.nanmean(recent[-REPORT_EVERY:])
            left = clock(progress.seconds_left)
            say(f"{stage.name} {progress.step}/{progress.steps} loss {loss:.3f}{more}, {left} left of this stage")
        if time.monotonic() - kept > place.keep_seconds:
            write(progress.step)
            keep(progress.step)
            kept = time.monotonic()

    with interrupts() as stopped:
        run(
            stage, seed=1, start=start, progress=show, most_skipped=50, checkpoint_every=stage.steps, save_at=leave,
            should_stop=lambda: bool(stopped),
        )  # fmt: skip
    if start < stage.steps:
        keep(stage.steps)
        write(stage.steps)


def keep_average(
    stage: ReadingStage | SoundingStage, place: Place, file: str, step: int, facts: dict[str, str]
) -> None:
    """Put the mean of a stage's latest weights into the base, with what was measured."""
    learnt = {n: v for n, v in stage.average.network.state_dict().items() if not n.startswith(CODES)}
    write_weights(place.base / file, learnt, {"steps": str(step), "of": str(stage.steps), **facts})
    say(f"{stage.name} kept at step {step} {json.dumps(facts)}")


def write_weights(path: Path, tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    """In half precision, in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    half = {name: value.detach().cpu().half().contiguous().clone() for name, value in tensors.items()}
    save_file(half, fresh, metadata=facts)
    fresh.chmod(0o644)
    fresh.replace(path)
