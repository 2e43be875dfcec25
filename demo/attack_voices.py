"""The voices an attacker could bring, for measuring the consent gate: our own engine's copies and clones.

The detectors of `consent.biometrics` must not know the engine, so they take an attacker as a callable; this module
makes them. `vocoders` copies a recording through the engine (posterior encoder and decoder, or codes and back), with
the shipped base, with copies of it whose weights were disturbed, and with copies that were trained further, with and
without critics: a detector that has seen only one checkpoint knows that checkpoint, not the engine. `clone` makes a
voice of a victim's recordings, at once or fine-tuned, and lets it read. Nothing is marked or labelled here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.features.content import ContentEncoder
from cloning.engine.features.spectrogram import linear
from cloning.engine.shift import shifted
from cloning.engine.synthesis import SpeechRequest, synthesise
from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.base import Base, load_base, starter_base
from cloning.engine.training.loop import run
from cloning.engine.training.prepare import Item, Recording, encode
from cloning.engine.training.quick import narrow
from cloning.engine.training.recipe import AcousticRecipe, TrainingRecipe
from cloning.engine.training.voice import train_voice
from cloning.engine.training.zero_shot import instant_voice
from cloning.engine.voicefile import unpack
from consent.biometrics.attacks import Attackers
from consent.biometrics.speech import spoken
from consent.biometrics.words import vocabulary
from demo.flite.speaker import VOICES, speak

#: Every voice here listens and speaks at 16 kHz.
RATE = 16_000
#: Spread of the disturbance of each weight tensor, relative to the tensor's own spread.
DISTURBANCE = 0.05
#: Steps and batch of further training: enough to move the weights well away from the shipped base in a minute.
STEPS = 40
BATCH = 2

Copy = Callable[[np.ndarray], np.ndarray]
Reader = Callable[[Sequence[str]], np.ndarray]


def vocoders(
    speech: Sequence[np.ndarray], victims: Sequence[np.ndarray], *, seed: int, further: Sequence[Path] = ()
) -> dict[str, Copy]:
    """Copy-synthesis by this engine, by name: 16 kHz speech (samples,) to the same words in the same voice, unmarked.

    `speech`: what the further-trained copies are trained on, 16 kHz, about 4 s each. `victims`: the same of people whom
    nothing may be trained on but the attacker's own copy, which is for measuring only and says so in its name.
    `further`: folders of bases beside the shipped one, such as the one that will follow it.
    """
    base = starter_base()
    encoder = base.build_content()
    shipped = base.build_acoustic(0).eval()
    longer = trained_on(base, speech, seed=seed, critics=False)
    criticised = trained_on(base, speech, seed=seed + 1, critics=True)
    attacker = trained_on(base, victims, seed=seed + 2, critics=True)
    return {
        "own engine, shipped: posterior": posterior_copy(shipped),
        "own engine, shipped: codes": code_copy(shipped, base, encoder),
        "own engine, shipped: text to speech": partial(read_copy, None),
        "own engine, disturbed: posterior": posterior_copy(disturbed(base, seed)),
        "own engine, trained further: posterior": posterior_copy(longer),
        "own engine, converted: codes": code_copy(shipped, base, encoder, style_of=speech[0]),
        "own engine, trained with critics: posterior": posterior_copy(criticised),
        "own engine, trained on the victims (never trained on): posterior": posterior_copy(attacker),
        **{name: copy for number, folder in enumerate(further, 1) for name, copy in _further(folder, number).items()},
    }


def _further(folder: Path, number: int) -> dict[str, Copy]:
    base = load_base(folder)
    model, name = base.build_acoustic(0).eval(), f"own engine, further base {number}"
    return {
        f"{name}: posterior": posterior_copy(model),
        f"{name}: codes": code_copy(model, base, base.build_content()),
        f"{name}: text to speech": partial(read_copy, base),
    }


def disturbed(base: Base, seed: int) -> AcousticModel:
    """The base with noise on every weight."""
    generator = torch.Generator().manual_seed(seed)
    model = base.build_acoustic(0).eval()
    with torch.no_grad():
        for value in model.dec.parameters():
            spread = float(value.std()) if value.numel() > 1 else 0.0
            value.add_(torch.randn(value.shape, generator=generator) * spread * DISTURBANCE)
    return model


def trained_on(
    base: Base, speech: Sequence[np.ndarray], *, seed: int, critics: bool, steps: int = STEPS
) -> AcousticModel:
    """The base after `steps` more steps on this speech, after the first quarter with critics if wanted."""
    encoder = base.build_content()
    items = [_item(wave, base, encoder) for wave in speech]
    recipe = AcousticRecipe(
        steps=steps, batch=BATCH, learning_rate=1e-3, adversarial_from=steps // 4 if critics else None
    )
    stage = AcousticStage(
        base.build_acoustic(seed), items, recipe, bfloat16=narrow(True, "cpu"), device="cpu", seed=seed
    )
    run(
        stage, seed=seed, start=0, progress=lambda _: None, most_skipped=10, checkpoint_every=steps + 1, save_at=None,
        should_stop=None,
    )  # fmt: skip
    return stage.model.eval()


def posterior_copy(model: AcousticModel) -> Copy:
    """Spectrogram to latent and straight back to sound: the engine's best copy, nearest to the recording."""

    @torch.inference_mode()
    def copy(sound: np.ndarray) -> np.ndarray:
        spec = linear(torch.from_numpy(np.array(sound, dtype=np.float32))[None], model.audio)
        mask = torch.ones_like(spec[:, :1])
        style = model.style(spec, mask)
        assert model.enc_q is not None
        mean, _ = model.enc_q(spec, mask, style)
        return np.asarray(model.dec(model.as_measured(mean, spec), style)[0, 0].float().numpy())

    return copy


def code_copy(model: AcousticModel, base: Base, encoder: ContentEncoder, style_of: np.ndarray | None = None) -> Copy:
    """Codes and back: what speech of the engine sounds like. `style_of`: another recording whose voice it takes on."""

    @torch.inference_mode()
    def copy(sound: np.ndarray) -> np.ndarray:
        item = _item(sound, base, encoder)
        wave = torch.from_numpy(np.array(sound if style_of is None else style_of, dtype=np.float32))
        style = model.reference_style([linear(wave[None], model.audio)])
        generator = torch.Generator().manual_seed(0)
        return np.asarray(model.decode(item.codes[None], item.phones[None], style, generator=generator)[0, 0].numpy())

    return copy


def read_copy(base: Base | None, sound: np.ndarray) -> np.ndarray:
    """Not the same words but others, read in the voice of the recording by a zero-shot clone of the base (None: the
    shipped one); silences cut."""
    chooser = random.Random(np.ascontiguousarray(sound).tobytes())
    read = clone([(sound, "")], rate=RATE, fine_tuned=False, seed=chooser.getrandbits(31), base=base)
    made, _, _ = spoken(read(chooser.sample(vocabulary(), 9)))
    return np.asarray(np.resize(made, sound.size), dtype=np.float32)


def mask(sound: np.ndarray) -> np.ndarray:
    """Pitch and formants moved by the platform's own shifter, by at least a semitone each: 16 kHz (samples,).

    How far depends on the sound alone, so that the same sound is masked the same way.
    """
    chooser = random.Random(np.ascontiguousarray(sound).tobytes())
    pitch, formants = (chooser.choice((-1.0, 1.0)) * chooser.uniform(1.0, most) for most in (5.0, 3.0))
    return shifted(sound, RATE, pitch=pitch, formants=formants)


def clone(
    recordings: Sequence[tuple[np.ndarray, str]],
    *,
    rate: int,
    fine_tuned: bool,
    seed: int = 0,
    base: Base | None = None,
) -> Reader:
    """A voice made of a victim's recordings with their texts, as a reader of challenge words (16 kHz, unmarked).

    `fine_tuned`: trained with the recipe that the platform uses; otherwise zero-shot from the first recording, whose
    text may be "". `base` None: the shipped one.
    """
    if fine_tuned:
        material = [Recording(wave, rate, transcript=text) for wave, text in recordings]
        made = train_voice(
            material, language="en", recipe=replace(TrainingRecipe.demo(), threads=1), base=base, seed=seed,
            progress=lambda _: None,
        )  # fmt: skip
        voice = unpack(made)
    else:
        wave, text = recordings[0]
        voice = instant_voice(base, wave, rate, text or None, "en")

    def read(words: Sequence[str]) -> np.ndarray:
        text = ", ".join(words) + "."
        return synthesise(voice, SpeechRequest(text, seed=seed, temperature=0.7, split_method="cut0")).pcm

    return read


def attackers() -> Attackers:
    """Everything the calibration's attacks need: Flite's voices, this engine's clones at once and fine-tuned, and the
    platform's shifter as a voice mask."""
    return Attackers(
        voices={name: partial(_speak, name) for name in VOICES},
        clones={"zero-shot": partial(clone, rate=RATE, fine_tuned=False)},
        trained_clones={"fine-tuned": partial(clone, rate=RATE, fine_tuned=True)},
        masks={"shifted": mask},
    )


def _speak(voice: str, text: str) -> np.ndarray:
    return speak(text, voice=voice)[0]


def _item(wave: np.ndarray, base: Base, encoder: ContentEncoder) -> Item:
    return encode(np.array(wave, dtype=np.float32), None, config=base.config, encoder=encoder, codebook=base.codebook)
