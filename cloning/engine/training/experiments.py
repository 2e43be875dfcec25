"""`python -m cloning.engine.training.experiments NAME --speaker MODULE:FUNCTION`: our recipe beside upstream's.

Each experiment trains the same model on the same batches with one thing changed, for several seeds, and prints the mean
and the spread of a held-out loss, measured one utterance at a time as in synthesis. The speech is synthesised; the
speaking function (see `starter.corpus.Speaking`) comes from outside.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import statistics
import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.semantic.model import IGNORED, Text2Semantic
from cloning.engine.starter import corpus
from cloning.engine.starter.items import item as aligned
from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.batches import stack
from cloning.engine.training.early import acoustic_loss
from cloning.engine.training.loop import Stage, rate_at, run
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import AcousticRecipe, SemanticRecipe, TrainingRecipe
from cloning.engine.training.scaled_adam import ScaledAdam
from cloning.engine.training.semantic import SemanticStage, semantic_loss
from cloning.engine.training.upstream_acoustic_stage import UpstreamAcousticStage
from cloning.engine.training.upstream_batches import semantic_batches
from cloning.engine.training.upstream_semantic import upstream_forward, upstream_rate
from cloning.engine.training.upstream_semantic_stage import UpstreamSemanticStage

#: The plain voice of the corpus that S1 learns from nothing, and the voice that fine-tunes learn.
CORPUS_VOICE, NEW_VOICE = "slt", "awb"
#: Utterances to learn from nothing, in a fine-tune, and held out.
CORPUS, CLIPS, HELD_OUT = 400, 12, 30
#: Batches of 8 utterances in `padding` and `schedule`, and steps of `codes`.
BATCHES, BATCH, CODE_STEPS = 300, 8, 150

Score = dict[str, float]
Rate = Callable[[int], float]


def spoken(speaking: corpus.Speaking, base: Base, voice: str, count: int, seed: int) -> list[Item]:
    """About `count` utterances of a voice as items, those on which the dictionaries disagree left out."""
    rng, encoder = np.random.default_rng(seed), base.build_content()
    speaker = corpus.VirtualSpeaker(voice)
    made = (corpus.utter(speaking, corpus.sentence(rng), speaker) for _ in range(count))
    items = [aligned(one, config=base.config, encoder=encoder, codebook=base.codebook) for one in made]
    return [dataclasses.replace(one, phone_targets=None) for one in items if one is not None]


def reading_loss(model: Text2Semantic, items: Sequence[Item], *, upstream_mask: bool, counted: bool) -> Tensor:
    """Mean cross entropy of a padded batch with upstream's text mask or ours, end marks in the padding counted or
    not."""
    eos = model.config.eos
    phones, phone_lengths = stack([item.phones for item in items], 1)
    codes, lengths = stack([item.codes for item in items], 1, eos)
    batch = (phones, phone_lengths, codes, lengths)
    logits = upstream_forward(model, *batch).logits if upstream_mask else model(*batch).logits
    targets = F.pad(codes, (0, 1), value=eos)
    if not counted:
        place = torch.arange(targets.shape[1])[None]
        targets = targets.masked_fill(place > lengths[:, None], IGNORED)
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


def learn_to_read(
    base: Base, items: Sequence[Item], seed: int, *, upstream_mask: bool, counted: bool, rate: Rate, scaled: bool
) -> Text2Semantic:
    """A small S1 from random weights, BATCHES steps of one batch each in upstream's order; `rate` of step 0, 1, …"""
    torch.manual_seed(seed)
    model = Text2Semantic(dataclasses.replace(base.config.semantic, width=128, layers=3, phone_classes=0, dropout=0.1))
    optimiser: torch.optim.Optimizer = ScaledAdam(model.parameters()) if scaled else torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.95), weight_decay=0.01
    )  # fmt: skip
    seconds = [len(item.codes) / base.config.code_rate for item in items]
    step = epoch = 0
    while step < BATCHES:
        for batch in semantic_batches(seconds, BATCH, epoch + 1000 * seed)[: BATCHES - step]:
            chosen = [items[place] for place in batch]
            loss = reading_loss(model, chosen, upstream_mask=upstream_mask, counted=counted)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            for group in optimiser.param_groups:
                group["lr"] = rate(step)
            optimiser.step()
            step += 1
        epoch += 1
    return model


def read_score(model: Text2Semantic, items: Sequence[Item]) -> Score:
    loss, right = semantic_loss(model, items, batch=1)
    return {"held-out loss": loss, "top-1": right}


def padding(base: Base, speaking: corpus.Speaking, seed: int) -> dict[str, Score]:
    """The text mask and the end marks in the padding: 2 x 2."""
    items = spoken(speaking, base, CORPUS_VOICE, CORPUS + HELD_OUT, 11)
    scores = {}
    for upstream_mask in (True, False):
        for counted in (True, False):
            model = learn_to_read(
                base, items[HELD_OUT:], seed, upstream_mask=upstream_mask, counted=counted, rate=upstream_rate,
                scaled=True,
            )  # fmt: skip
            name = f"{'upstream' if upstream_mask else 'our'} mask, padding {'' if counted else 'not '}counted"
            scores[name] = read_score(model, items[:HELD_OUT])
    return scores


def schedule(base: Base, speaking: corpus.Speaking, seed: int) -> dict[str, Score]:
    """The rate: upstream's constant one (its warm-up and cosine never run), and a live warm-up and cosine."""
    items = spoken(speaking, base, CORPUS_VOICE, CORPUS + HELD_OUT, 11)

    def live(step: int, peak: float) -> float:
        return peak * rate_at(step + 1, steps=BATCHES, warm_up=BATCHES // 10, final=0.02)

    rules: dict[str, tuple[Rate, bool]] = {
        "ScaledAdam, 0.01 once then 0.002 (upstream)": (upstream_rate, True),
        "ScaledAdam, warm-up and cosine from 0.01": (lambda step: live(step, 0.01), True),
        "AdamW, 1e-3 all the time": (lambda step: 1e-3, False),
        "AdamW, warm-up and cosine from 1e-3 (ours)": (lambda step: live(step, 1e-3), False),
    }
    scores = {}
    for name, (rate, scaled) in rules.items():
        model = learn_to_read(
            base, items[HELD_OUT:], seed, upstream_mask=False, counted=False, rate=rate, scaled=scaled
        )
        scores[name] = read_score(model, items[:HELD_OUT])
    return scores


def finetune(base: Base, speaking: corpus.Speaking, seed: int) -> dict[str, Score]:
    """S1 of the starter base on a dozen clips of a voice it has never heard: whole recipes."""
    items = spoken(speaking, base, NEW_VOICE, CLIPS + HELD_OUT + 6, 12)
    clips, held_out = items[-CLIPS:], items[:HELD_OUT]
    scores = {"the base": read_score(base.build_semantic(seed), held_out) | {"steps": 0.0, "batches": 0.0}}

    def own(recipe: SemanticRecipe) -> SemanticStage:
        return SemanticStage(base.build_semantic(seed), clips, recipe, bfloat16=True, device="cpu")

    def upstream(batch: int, epochs: int = 15) -> UpstreamSemanticStage:
        rules = TrainingRecipe.upstream(batch=batch, semantic_epochs=epochs).official
        assert rules is not None
        return UpstreamSemanticStage(
            base.build_semantic(seed), clips, rules, code_rate=base.config.code_rate, bfloat16=True, device="cpu"
        )

    whole = upstream(8)
    as_long = sum(len(window) for window in whole.windows)
    stages: dict[str, SemanticStage | UpstreamSemanticStage] = {
        "upstream, batch 24, 15 epochs": upstream(24),
        "upstream, batch 8, 2 epochs": upstream(8, 2),
        "upstream, batch 8, 15 epochs": whole,
        "ours, demo": own(TrainingRecipe.demo().semantic),
        "ours, thorough": own(TrainingRecipe.thorough().semantic),
        "ours, as many batches as upstream": own(
            dataclasses.replace(TrainingRecipe.thorough().semantic, steps=as_long)
        ),
    }
    for name, stage in stages.items():
        drive(stage, seed)
        windows = stage.windows if isinstance(stage, UpstreamSemanticStage) else [[0]] * stage.steps
        batches = sum(len(window) for window in windows)
        scores[name] = read_score(stage.model, held_out) | {"steps": stage.steps, "batches": batches}
    return scores


def sound(base: Base, speaking: corpus.Speaking, seed: int) -> dict[str, Score]:
    """S2 of the starter base on the same clips. The base has no critics, so upstream's start from random weights."""
    items = spoken(speaking, base, NEW_VOICE, CLIPS + HELD_OUT + 6, 12)
    clips, held_out = items[-CLIPS:], items[: HELD_OUT // 3]
    scores = {"the base": sound_score(base.build_acoustic(seed), held_out) | {"steps": 0.0}}
    rules = TrainingRecipe.upstream().official
    assert rules is not None
    stages: dict[str, AcousticStage | UpstreamAcousticStage] = {
        "upstream, batch 8, 8 epochs": UpstreamAcousticStage(
            base.build_acoustic(seed), clips, rules, bfloat16=True, device="cpu", seed=seed
        ),
        "ours, demo": AcousticStage(
            base.build_acoustic(seed), clips, TrainingRecipe.demo().acoustic, bfloat16=True, device="cpu", seed=seed
        ),
    }
    for name, stage in stages.items():
        drive(stage, seed)
        scores[name] = sound_score(stage.model, held_out) | {"steps": float(stage.steps)}
    return scores


def codes(base: Base, speaking: corpus.Speaking, seed: int) -> dict[str, Score]:
    """A small S2 in the official layout from random weights: projection and entries frozen as they were drawn, entries
    drawn from content vectors, and both trained."""
    items = spoken(speaking, base, CORPUS_VOICE, 60 + HELD_OUT, 11)
    held_out, items = items[: HELD_OUT // 3], items[HELD_OUT:]
    encoder = base.build_content()

    @torch.no_grad()
    def content(waves: Tensor) -> Tensor:
        return encoder(waves).transpose(1, 2)

    config = dataclasses.replace(
        base.config.acoustic, code_layout="repeat", codes=128, hidden=96, filter=192, code_layers=1, joint_layers=1,
        posterior_layers=4, flow_layers=2, upsample_initial=128,
    )  # fmt: skip
    recipe = AcousticRecipe(steps=CODE_STEPS, learning_rate=1e-3, text_rate=1.0, warm_up=10, batch=4)
    scores = {}
    for name, weight, sampled in (
        ("frozen, entries as drawn", 0.0, False),
        ("frozen, entries drawn from content vectors", 0.0, True),
        ("trained: straight-through gradient and commitment", 1.0, True),
    ):
        torch.manual_seed(seed)
        model = AcousticModel(config, base.config.audio)
        with torch.no_grad():
            vectors = torch.cat([model.code_vectors(content(item.wave[None]))[0].T for item in items])
            picked = torch.randperm(len(vectors))[: config.codes]
            model.quantizer.set_entries(vectors[picked] if sampled else torch.randn(config.codes, config.code_dim))
        rule = dataclasses.replace(recipe, commitment=weight)
        stage = AcousticStage(
            model, recoded(model, items, content), rule, bfloat16=True, device="cpu", seed=seed, content=content
        )
        drive(stage, seed)
        used = torch.cat([item.codes for item in recoded(model, held_out, content)]).unique()
        scores[name] = sound_score(model, recoded(model, held_out, content)) | {"codes used": float(len(used))}
    return scores


def recoded(model: AcousticModel, items: Sequence[Item], content: Callable[[Tensor], Tensor]) -> list[Item]:
    """The items with the codes that the model gives them."""
    return [
        dataclasses.replace(item, codes=model.encode_content(content(item.wave[None]))[0, : len(item.codes)])
        for item in items
    ]


def sound_score(model: AcousticModel, items: Sequence[Item]) -> Score:
    kl = acoustic_loss(model, items, mel_weight=0.0)
    return {"held-out mel": acoustic_loss(model, items, mel_weight=1.0) - kl, "held-out KL": kl}


def drive(stage: Stage, seed: int) -> None:
    run(
        stage, seed=seed, start=0, progress=lambda told: None, most_skipped=0, checkpoint_every=10**9, save_at=None,
        should_stop=None,
    )  # fmt: skip


EXPERIMENTS = {run_.__name__: run_ for run_ in (padding, schedule, finetune, sound, codes)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="cloning.engine.training.experiments", description=__doc__)
    parser.add_argument("name", choices=list(EXPERIMENTS))
    parser.add_argument("--speaker", required=True, help="MODULE:FUNCTION of a synthesiser with phone times")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    module, _, function = options.speaker.partition(":")
    speaking = getattr(importlib.import_module(module), function)
    torch.set_num_threads(1)
    base = starter_base()
    found = []
    for seed in range(options.seeds):
        found.append(EXPERIMENTS[options.name](base, speaking, seed))
        sys.stderr.write(f"seed {seed}: {json.dumps(found[-1])}\n")
    columns = list(next(iter(found[0].values())))
    lines = ["| " + " | ".join([options.name, *columns]) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in found[0]:
        cells = [name]
        for column in columns:
            values = [scores[name][column] for scores in found]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 and min(values) != max(values) else ""
            cells.append(f"{statistics.mean(values):.3f}{spread}")
        lines.append("| " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
