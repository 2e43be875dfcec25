"""A v3 or v4 voice for a platform: adapters of S1, a LoRA file of S2, and a prompt that the new voice has spoken.

Upstream's voices continue a recording, so the recording has to live as long as they do. Here it does not: when the
training is over, the voice says the sentences of its material anew, behind the recording once, and that synthetic
passage is what it continues ever after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Final

import torch
from torch import Tensor

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.mels import WINDOWS, FlowSampling, MelPrompt, chained, mel_prompt
from cloning.engine.errors import TrainingFailed, TrainingRefused
from cloning.engine.features.spectrogram import linear
from cloning.engine.flowfile import FlowVoice, pack_flow
from cloning.engine.reference import MOST_REFERENCE_CODES, MOST_REFERENCE_PHONES, Reference
from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import Decoded, Utterance, code_bound, decode_batch, prepare
from cloning.engine.synthesis import ATTEMPTS, LEAST_CODES_PER_PHONE, OFFICIAL_SAMPLING
from cloning.engine.training.diffusion_base import DiffusionBase
from cloning.engine.training.diffusion_voice import FlowRun, flow_trained
from cloning.engine.training.flow import flow_mels
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.loop import CheckpointSink, Progress
from cloning.engine.training.prepare import Item, Recording
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import STYLE_UTTERANCES, nearest
from cloning.engine.tts.sentences import Sentence, joined_bert

#: Sentences that may be said until the passage fills the prompt window: more than a window of the shortest ones.
MOST_SENTENCES: Final = 24
STEPS: Final = 32


def train_flow_voice(
    recordings: Sequence[Recording],
    *,
    language: str,
    recipe: TrainingRecipe,
    base: DiffusionBase,
    hearing: OfficialHearing,
    seed: int,
    progress: Callable[[Progress], None],
    checkpoint: CheckpointSink | None = None,
    resume: bytes | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> bytes:
    """Train a voice on a shared base -> `flowfile` bytes. `recipe` has adapters and a rank. Repeatable, and to be
    resumed, as `voice.train_voice`.

    Raises as `train_diffusion`; TrainingRefused `bad_recipe` without adapters or rank, `no_reference` when the
    recordings with a text do not fill the prompt window; TrainingFailed `no_prompt` when the voice cannot speak.
    """
    if recipe.adapters is None or recipe.flow.rank is None:
        raise TrainingRefused("bad_recipe", "a voice beside a shared base is trained as adapters of S1 and pairs of S2")
    return flow_trained(
        recordings, _packed, language=language, recipe=recipe, base=base, hearing=hearing, seed=seed, progress=progress,
        checkpoint=checkpoint, resume=resume, should_stop=should_stop, device="cpu", keep=None,
    )  # fmt: skip


def _packed(run: FlowRun) -> bytes:
    recipe = run.recipe.adapters
    assert recipe is not None
    run.semantic.eval()
    model = run.model.eval()
    model.adapters = run.trained.adapters(len(model.cfm.estimator.transformer_blocks))
    state = run.adapters[0].state()
    with torch.inference_mode():
        reference, mel = Passage(run, SemanticAdapters(run.base.config.semantic, state, recipe.scale)).spoken()
    config = run.diffusion.config
    return pack_flow(
        FlowVoice(
            version=config.version,
            config=run.base.config,
            language=run.language,
            rank=recipe.rank,
            alpha=recipe.alpha,
            semantic=state,
            lora=run.acoustic_file(),
            reference=reference,
            mel=mel,
            base_digest=run.base.digest,
            training=run.summary(),
        )
    )


class Passage:
    """What the voice says for itself: sentences of its material, one after the other, until they fill the window."""

    def __init__(self, run: FlowRun, adapters: SemanticAdapters) -> None:
        self.model: DiffusionModel = run.model
        self.adapters, self.seed = adapters, run.seed
        self.runner: Runner = prepare(run.base.build_semantic(run.seed))
        rate = self.model.audio.sample_rate
        self.window = WINDOWS[run.diffusion.config.version].prompt
        items = nearest([item for item in run.material.items if item.has_text], rate)
        specs = [linear(item.wave[None], self.model.audio) for item in items[:STYLE_UTTERANCES]]
        self.style = self.model.reference_style(specs).clone()
        self.heard = self._heard(items)
        # Another sentence than those that it continues comes first.
        self.sentences = [*items[len(self.heard) :], *self.heard]

    def spoken(self) -> tuple[Reference, Tensor]:
        """Phones, codes, style and mel M x F. Raises TrainingFailed `no_prompt`."""
        codes, phones = (torch.cat([getattr(item, name) for item in self.heard]) for name in ("codes", "phones"))
        heard = Sentence(phones, _bert(self.heard), "", ())
        # Item by item, as the flow's training heard them.
        mels = torch.cat([flow_mels(self.model, item.wave[None]) for item in self.heard], dim=2)
        prompt = mel_prompt(self.model, codes[None], phones[None], self.style, mels)
        said: list[tuple[Tensor, Tensor, Tensor]] = []
        frames = total = 0
        for number, item in enumerate(islice(cycle(self.sentences), MOST_SENTENCES)):
            one = self._codes(heard, codes, item, number)
            total += one.codes.numel()
            phones_said = sum(row[0].numel() for row in said) + item.phones.numel()
            if total > MOST_REFERENCE_CODES or phones_said > MOST_REFERENCE_PHONES:
                break
            if not one.codes.numel():
                continue
            mel = self._mel(prompt, one.codes, item.phones, number)
            said.append((item.phones, one.codes, mel))
            frames += mel.shape[2]
            if frames >= self.window:
                words, drawn, sound = (torch.cat(part, dim=-1) for part in zip(*said, strict=True))
                return Reference(words, drawn, self.style), sound[0]
        raise TrainingFailed("no_prompt", "the trained voice has not said enough to fill its own prompt")

    def _heard(self, items: Sequence[Item]) -> list[Item]:
        """As many items as fill the prompt window. Raises TrainingRefused `no_reference`."""
        hop = self.model.config.mel
        frames, some = 0, []
        for item in items:
            some.append(item)
            frames += int(len(item.wave) / self.model.audio.sample_rate * hop.frame_rate) - 1
            if frames >= self.window:
                return some
        seconds = self.window / hop.frame_rate
        raise TrainingRefused("no_reference", f"less than {seconds:.1f} s of the recordings came with a text")

    def _codes(self, heard: Sentence, codes: Tensor, item: Item, number: int) -> Decoded:
        """The first attempt at a sentence that looks complete, else the last."""
        target = Sentence(item.phones, item.bert, "", ())
        most = code_bound(item.phones.numel(), heard.phones.numel(), codes.numel())
        for attempt in range(ATTEMPTS):
            wanted = Utterance(
                torch.cat((heard.phones, target.phones)), self._generator("codes", number, attempt), OFFICIAL_SAMPLING,
                most, prompt=codes, bert=joined_bert(heard, target), adapters=self.adapters,
            )  # fmt: skip
            (decoded,) = decode_batch(self.runner, [wanted])
            if decoded.ended and decoded.codes.numel() >= LEAST_CODES_PER_PHONE * item.phones.numel():
                break
        return decoded

    def _mel(self, prompt: MelPrompt, codes: Tensor, phones: Tensor, number: int) -> Tensor:
        features = self.model.features(codes[None], phones[None], self.style)
        sampling, generator = FlowSampling(steps=STEPS), self._generator("mel", number)
        return torch.cat(list(chained(self.model, prompt, features, sampling, generator)), dim=2)

    def _generator(self, *path: object) -> torch.Generator:
        digest = hashlib.sha256(f"{self.seed}/prompt/{'/'.join(map(str, path))}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _bert(items: Sequence[Item]) -> Tensor | None:
    """Prosody features of the items one after the other, None when none has any."""
    joined = Sentence(items[0].phones, items[0].bert, "", ())
    for item in items[1:]:
        phones = torch.cat((joined.phones, item.phones))
        joined = Sentence(phones, joined_bert(joined, Sentence(item.phones, item.bert, "", ())), "", ())
    return joined.bert
