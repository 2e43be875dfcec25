"""Make the starter voice base from nothing but synthesised speech: corpus, content encoder, codebook, S1 and S2.

    python -m demo.train_starter content  --work FOLDER        # corpus, content encoder, codebook
    python -m demo.train_starter semantic --work FOLDER        # text to codes
    python -m demo.train_starter acoustic --work FOLDER        # codes to sound

Each stage continues from what the folder holds and writes into `--out` (default: the engine's starter folder).
The voice `awb` is never trained on; it judges.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cloning.engine import starter
from cloning.engine.config import starter as starter_config
from cloning.engine.starter import content, corpus
from cloning.engine.starter.items import item as starter_item
from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.base import ACOUSTIC_FILE, CONTENT_FILE, SEMANTIC_FILE, Base, load_base
from cloning.engine.training.loop import Progress, freeze, restore, run, thaw
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import AcousticRecipe, SemanticRecipe
from cloning.engine.training.semantic import SemanticStage, semantic_loss
from demo.flite.speaker import speak_timed

TRAIN_VOICES = ("slt", "rms", "kal16")
JUDGE_VOICE = "awb"
SPEAKERS_PER_VOICE = 30
HELD_OUT = 40


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def make_corpus(voices: tuple[str, ...], count: int, seed: int) -> list[corpus.Utterance]:
    """`count` utterances spread over the virtual speakers of the voices."""
    rng = np.random.default_rng(seed)
    speakers = [s for voice in voices for s in corpus.virtual_speakers(voice, SPEAKERS_PER_VOICE, rng)]
    out = []
    for index in range(count):
        out.append(corpus.utter(speak_timed, corpus.sentence(rng), speakers[index % len(speakers)]))
        if index % 500 == 499:
            say(f"corpus {index + 1}/{count}")
    return out


def keep(path: Path, utterances: list[corpus.Utterance]) -> None:
    """One .npz without pickled objects."""
    about = [
        {"text": u.text, "voice": u.speaker.voice, "warp": [u.speaker.formants, u.speaker.pitch, u.speaker.tempo]}
        for u in utterances
    ]
    np.savez(
        path,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        wave=np.concatenate([u.wave for u in utterances]),
        wave_at=np.cumsum([len(u.wave) for u in utterances]),
        phones=np.concatenate([u.phones for u in utterances]),
        ends=np.concatenate([u.ends for u in utterances]),
        phones_at=np.cumsum([len(u.phones) for u in utterances]),
    )


def recall(path: Path) -> list[corpus.Utterance]:
    with np.load(path, allow_pickle=False) as z:
        about = json.loads(z["about"].tobytes())
        waves = np.split(z["wave"], z["wave_at"][:-1])
        phones = np.split(z["phones"], z["phones_at"][:-1])
        ends = np.split(z["ends"], z["phones_at"][:-1])
    return [
        corpus.Utterance(a["text"], corpus.VirtualSpeaker(a["voice"], *a["warp"]), w, p, e)
        for a, w, p, e in zip(about, waves, phones, ends, strict=True)
    ]


def corpora(
    work: Path, count: int, seed: int = 1
) -> tuple[list[corpus.Utterance], list[corpus.Utterance], list[corpus.Utterance]]:
    """(train, held-out sentences and speakers of the trained voices, judge voice), made once per folder."""
    made = []
    wanted = (
        ("train", TRAIN_VOICES, count, seed),
        ("held_out", TRAIN_VOICES, HELD_OUT, 2),
        ("judge", (JUDGE_VOICE,), HELD_OUT, 3),
    )
    for name, voices, size, seed in wanted:
        path = work / f"{name}.npz"
        if not path.exists():
            keep(path, make_corpus(voices, size, seed))
        made.append(recall(path))
    return made[0], made[1], made[2]


def stage_content(args: argparse.Namespace) -> None:
    from safetensors.torch import save_file

    config = starter_config()
    train, held_out, judge = corpora(args.work, args.utterances, args.seed)
    hours = sum(len(u.wave) for u in train) / corpus.RATE / 3600
    say(f"{len(train)} utterances, {hours:.2f} h")
    recipe = content.ContentRecipe(steps=args.steps or 2400, bfloat16=args.bfloat16)
    encoder = content.train_content(
        train, config.content, recipe, seed=1,
        report=lambda step, loss, seconds: say(f"content {step}/{recipe.steps} loss {loss:.3f} {seconds:.0f} s"),
    )  # fmt: skip
    book = content.learn_codebook(
        encoder, train[:1500], codes=config.acoustic.codes, frames_per_code=config.acoustic.frames_per_code, seed=1
    )
    tensors = {f"content.{name}": value.half().contiguous() for name, value in encoder.state_dict().items()}
    tensors["codebook"] = book.half().contiguous()
    facts = {
        "hours": f"{hours:.2f}",
        "steps": str(recipe.steps),
        "accuracy_held_out": f"{content.phone_accuracy(encoder, held_out):.3f}",
        "accuracy_judge": f"{content.phone_accuracy(encoder, judge):.3f}",
    }
    say(json.dumps(facts))
    save_file(tensors, args.out / CONTENT_FILE, metadata=facts)
    (args.out / CONTENT_FILE).chmod(0o644)


def coded(name: str, utterances: list[corpus.Utterance], base: Base, work: Path) -> list[Item]:
    """The utterances as training items, made once per folder."""
    path = work / f"{name}.items.npz"
    if not path.exists():
        encoder = base.build_content()
        made = [starter_item(u, config=base.config, encoder=encoder, codebook=base.codebook) for u in utterances]
        kept = [item for item in made if item is not None]
        say(f"{name}: {len(kept)} of {len(made)} utterances")
        np.savez(
            path,
            wave=np.concatenate([(i.wave.numpy() * 32767).astype(np.int16) for i in kept]),
            codes=np.concatenate([i.codes.numpy() for i in kept]),
            codes_at=np.cumsum([len(i.codes) for i in kept]),
            phones=np.concatenate([i.phones.numpy() for i in kept]),
            phones_at=np.cumsum([len(i.phones) for i in kept]),
            targets=np.concatenate([i.phone_targets.numpy() for i in kept]),
            speakers=np.frombuffer(json.dumps([i.speaker for i in kept]).encode(), np.uint8),
        )
    span = base.config.audio.hop * base.config.acoustic.frames_per_code
    with np.load(path, allow_pickle=False) as z:
        waves = np.split(z["wave"], z["codes_at"][:-1] * span)
        codes = np.split(z["codes"], z["codes_at"][:-1])
        targets = np.split(z["targets"], z["codes_at"][:-1])
        phones = np.split(z["phones"], z["phones_at"][:-1])
        speakers = json.loads(z["speakers"].tobytes())
    return [
        Item(
            torch.from_numpy(w.astype(np.float32) / 32767), torch.from_numpy(c), torch.from_numpy(p), True, s,
            torch.from_numpy(t),
        )
        for w, c, p, s, t in zip(waves, codes, phones, speakers, targets, strict=True)
    ]  # fmt: skip


def stage_semantic(args: argparse.Namespace) -> None:
    base = load_base(args.out)
    train, held_out, _ = corpora(args.work, args.utterances, args.seed)
    items = coded("train", train, base, args.work)
    judge = coded("held_out", held_out, base, args.work)
    model = base.build_semantic(1)
    recipe = SemanticRecipe(
        steps=args.steps or 900, batch=24, learning_rate=1e-3, paired=0.3, warm_up=100, final=0.02, betas=(0.9, 0.95)
    )
    stage = SemanticStage(model, items, recipe, bfloat16=args.bfloat16, device=args.device)
    drive(stage, args, SEMANTIC_FILE, lambda: "held-out loss {:.3f}, top-1 {:.3f}".format(*semantic_loss(model, judge)))


def stage_acoustic(args: argparse.Namespace) -> None:
    base = load_base(args.out)
    train, _, _ = corpora(args.work, args.utterances, args.seed)
    items = coded("train", train, base, args.work)
    model = base.build_acoustic(1)
    recipe = AcousticRecipe(
        steps=args.steps or 1600, batch=8, batch_frames=1600, learning_rate=6e-4, text_rate=1.0, warm_up=100, final=0.1,
        betas=(0.8, 0.99),
    )  # fmt: skip
    stage = AcousticStage(model, items, recipe, bfloat16=args.bfloat16, device=args.device, seed=1)
    drive(stage, args, ACOUSTIC_FILE, lambda: "")


def drive(stage: SemanticStage | AcousticStage, args: argparse.Namespace, file: str, judge: Callable[[], str]) -> None:
    """Run a stage, continuing from the folder's state; the weights so far are in `--out` after every checkpoint."""
    from safetensors.torch import save_file

    state = args.work / f"{stage.name}.state"
    start = 0
    if state.exists():
        about, tensors = thaw(state.read_bytes())
        start = about["step"]
        restore(tensors, stage.modules(), stage.optimisers())
    recent: list[float] = []
    began = time.monotonic()

    def write(step: int) -> None:
        state.write_bytes(freeze({"stage": stage.name, "step": step}, stage.modules(), stage.optimisers()))
        weights = {k: v.half().contiguous().clone() for k, v in stage.model.state_dict().items()}
        line = judge()
        fresh = args.out / f"{file}.new"
        save_file(weights, fresh, metadata={"steps": str(step), "of": str(stage.steps), "judged": line})
        fresh.chmod(0o644)
        fresh.replace(args.out / file)
        say(f"{stage.name} kept at step {step} {line}")

    def show(progress: Progress) -> None:
        recent.append(progress.loss)
        if progress.step % 25 == 0:
            pace = (time.monotonic() - began) / (progress.step - start)
            say(f"{stage.name} {progress.step}/{progress.steps} loss {np.mean(recent[-25:]):.3f} {pace:.2f} s/step")

    run(
        stage, seed=1, start=start, progress=show, most_skipped=50, checkpoint_every=args.keep_every, save_at=write,
        should_stop=None,
    )  # fmt: skip
    write(stage.steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["content", "semantic", "acoustic"])
    parser.add_argument("--work", type=Path, required=True, help="folder for the corpus and checkpoints")
    parser.add_argument("--out", type=Path, default=Path(starter.__file__).parent)
    parser.add_argument("--utterances", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1, help="of the training corpus: another seed is fresh speech")
    parser.add_argument("--steps", type=int, default=0, help="0: the stage's own number")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep-every", type=int, default=100, help="steps between written weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bfloat16", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    {"content": stage_content, "semantic": stage_semantic, "acoustic": stage_acoustic}[args.stage](args)


if __name__ == "__main__":
    main()
