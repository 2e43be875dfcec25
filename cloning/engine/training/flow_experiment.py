"""`python -m cloning.engine.training.flow_experiment --speaker MODULE:FUNCTION`: how much of v3's and v4's S2 must a
voice own?

A reduced flow-matching model (the starter's encoders and codes, 16 kHz mels, a transformer of 0.9 M parameters) learns
many synthetic speakers, then one that it has never heard, with different parts of it free. Measured on that speaker's
held-out sentences: the flow loss, and how near the speaker encoder finds sampled speech (mels turned to sound by
Griffin and Lim 1984) to the speaker. What such a model can show is which parts carry a voice when little is learned;
not how good the published sizes sound.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import statistics
import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.config import AudioConfig
from cloning.engine.diffusion_config import DiffusionConfig, DitConfig
from cloning.engine.features.spectrogram import from_unit, linear, mel_filters
from cloning.engine.starter import corpus
from cloning.engine.starter.items import item as aligned
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.experiments import drive, spoken
from cloning.engine.training.flow import Trained, flow_loss, flow_mels
from cloning.engine.training.flow_stage import FlowStage
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import FlowRecipe

#: Voices of the corpus, virtual speakers of each, sentences of each speaker; the voice that is new to the model.
VOICES, SPEAKERS, SENTENCES, NEW = ("slt", "rms"), 6, 6, "awb"
CLIPS, HELD_OUT, SPOKEN = 12, 6, 6
STEPS, TUNING_STEPS, BATCH = 250, 60, 4
#: As far below the width of 128 as 32 is below the published 1024.
RANK = 4
MEL = AudioConfig(sample_rate=16_000, n_fft=640, win=640, hop=160, n_mels=80, fmin=0.0, fmax=8000.0)
DIT = DitConfig(width=128, depth=4, heads=4, head_width=32, mel=80, text=128, text_layers=1, dropout=0.1)
DRAWS, FLOW_STEPS, PROMPT_FRAMES = 6, 8, 150

RECIPES: dict[str, FlowRecipe] = {
    "lean: pairs and bridge": FlowRecipe(rank=RANK, parts="lean"),
    "upstream: pairs, bridge and gated layers": FlowRecipe(rank=RANK, parts="upstream"),
    "the whole transformer as well": FlowRecipe(rank=None),
}


def reduced(base: Base, seed: int) -> DiffusionModel:
    """The small model, its encoders the starter's, all else random."""
    assert base.acoustic is not None
    whole = base.config
    acoustic = dataclasses.replace(whole.acoustic, code_layout="repeat", latent=whole.acoustic.hidden)
    config = DiffusionConfig(version="v4", acoustic=acoustic, dit=DIT, audio=whole.audio, mel=MEL, bridge_layers=4)
    torch.manual_seed(seed)
    model = DiffusionModel(config)
    # The starter lays a code's two frames end to end, v3 and v4 repeat one: their mean.
    model.quantizer.set_entries(base.codebook.float().view(acoustic.codes, 2, -1).mean(1))
    known = {
        name: value.float()
        for name, value in base.acoustic.items()
        if name.startswith(("enc_p.", "ref_enc.")) and not name.startswith("enc_p.proj.")
    }
    model.load_state_dict(known, strict=False)
    return model


def crowd(base: Base, speaking: corpus.Speaking) -> list[Item]:
    """Many virtual speakers' sentences."""
    rng, encoder = np.random.default_rng(21), base.build_content()
    made = []
    for voice in VOICES:
        for speaker in corpus.virtual_speakers(voice, SPEAKERS, rng):
            for _ in range(SENTENCES):
                said = corpus.utter(speaking, corpus.sentence(rng), speaker)
                made.append(aligned(said, config=base.config, encoder=encoder, codebook=base.codebook))
    return [one for one in made if one is not None]


def tuned(model: DiffusionModel, items: Sequence[Item], recipe: FlowRecipe, seed: int) -> Trained:
    trained = Trained(model, recipe, seed=seed)
    drive(FlowStage(model, trained, items, recipe, bfloat16=False, recompute=False, device="cpu"), seed)
    model.eval()
    return trained


@torch.no_grad()
def held_out_loss(model: DiffusionModel, trained: Trained | None, items: Sequence[Item]) -> float:
    """Mean over items and draws, each item alone."""
    adapters = trained.adapters(DIT.depth) if trained else ()
    losses = [
        float(flow_loss(model, [one], torch.Generator().manual_seed(draw), adapters))
        for one in items
        for draw in range(DRAWS)
    ]
    return statistics.mean(losses)


@torch.inference_mode()
def likeness(
    model: DiffusionModel, trained: Trained | None, items: Sequence[Item], prompt: Item, middle: np.ndarray
) -> float:
    """Mean cosine of sampled sentences to the speaker's mean embedding; one without speech counts 0."""
    from consent.biometrics import speaker as biometrics
    from consent.biometrics.audio import AudioError

    adapters = trained.adapters(DIT.depth) if trained else ()
    spec = linear(prompt.wave[None], model.audio)
    style = model.style(spec, torch.ones_like(spec[:, :1]))
    held = flow_mels(model, prompt.wave[None])[..., :PROMPT_FRAMES]
    before = model.features(prompt.codes[None], prompt.phones[None], style)[..., : held.shape[2]]
    found = []
    for number, one in enumerate(items):
        text = torch.cat((before, model.features(one.codes[None], one.phones[None], style)), dim=2)
        mel = model.cfm.sample(
            text, torch.tensor([text.shape[2]]), held, FLOW_STEPS, adapters=adapters,
            generator=torch.Generator().manual_seed(number),
        )[..., held.shape[2] :]  # fmt: skip
        try:
            found.append(float(middle @ biometrics.embed(sound(mel), MEL.sample_rate)))
        except AudioError:
            found.append(0.0)
    return statistics.mean(found)


def sound(mel: Tensor) -> np.ndarray:
    """Mels 1 x M x F in the unit range -> samples (N,), by Griffin and Lim."""
    from torchaudio.functional import griffinlim

    filters = mel_filters(MEL.sample_rate, MEL.n_fft, MEL.n_mels, MEL.fmin, MEL.fmax)
    spectrum = (torch.linalg.pinv(filters) @ from_unit(mel)[0].exp()).clamp_min(1e-5)
    torch.manual_seed(0)
    wave = griffinlim(spectrum, torch.hann_window(MEL.win), MEL.n_fft, MEL.hop, MEL.win, 1.0, 32, 0.99, None, True)
    return np.asarray(0.3 * wave / wave.abs().max().clamp_min(1e-5), dtype=np.float32)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="cloning.engine.training.flow_experiment", description=__doc__)
    parser.add_argument("--speaker", required=True, help="MODULE:FUNCTION of a synthesiser with phone times")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args(arguments)
    module, _, function = options.speaker.partition(":")
    speaking = getattr(importlib.import_module(module), function)
    torch.set_num_threads(1)
    from consent.biometrics import speaker as biometrics

    base = starter_base()
    model = reduced(base, 1)
    tuned(model, crowd(base, speaking), FlowRecipe(rank=None, steps=STEPS, batch=BATCH, learning_rate=1e-3), 1)
    items = spoken(speaking, base, NEW, CLIPS + HELD_OUT + 8, 12)
    clips, held = items[-CLIPS:], items[:HELD_OUT]
    rows = np.stack([biometrics.embed(one.wave.numpy(), MEL.sample_rate) for one in clips])
    middle = rows.mean(0) / np.linalg.norm(rows.mean(0))
    prompt = max(clips, key=lambda one: len(one.wave))
    real = statistics.mean(float(middle @ biometrics.embed(one.wave.numpy(), MEL.sample_rate)) for one in held)
    copied = statistics.mean(
        float(middle @ biometrics.embed(sound(flow_mels(model, one.wave[None])), MEL.sample_rate)) for one in held
    )
    state = {name: value.clone() for name, value in model.state_dict().items()}
    scores: dict[str, list[dict[str, float]]] = {}

    def score(name: str, trained: Trained | None, owned: int) -> None:
        found = {
            "parameters": owned / 1e3,
            "held-out loss": held_out_loss(model, trained, held),
            "cosine": likeness(model, trained, held[:SPOKEN], prompt, middle),
        }
        scores.setdefault(name, []).append(found)
        sys.stderr.write(f"{name}: {json.dumps(found)}\n")

    score("the base, zero-shot", None, 0)
    for seed in range(options.seeds):
        for name, recipe in RECIPES.items():
            model.load_state_dict(state)
            told = dataclasses.replace(recipe, steps=TUNING_STEPS, batch=BATCH, learning_rate=1e-3)
            trained = tuned(model, clips, told, seed)
            score(name, trained, sum(value.numel() for value in trained.parameters()))
    sys.stdout.write("| what a voice owns | thousand parameters | held-out flow loss | cosine to the speaker |\n")
    sys.stdout.write("|---|---|---|---|\n")
    for name, found in scores.items():
        cells = [f"{statistics.mean(one[column] for one in found):.4g}" for column in found[0]]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
    sys.stdout.write("| (recordings of the speaker; the same through mels and Griffin-Lim) | | | ")
    sys.stdout.write(f"{real:.3f}; {copied:.3f} |\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
