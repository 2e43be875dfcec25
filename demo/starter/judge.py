"""Does the base still say the words? Quick answers while it is being made; `python -m cloning.engine.evaluate` is the
thorough judge.

The listener is the content encoder's own phone head, on sound or straight on codes. It knows the material, so every
figure stands beside that of the source speech.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.features.content import ContentEncoder
from cloning.engine.features.spectrogram import linear
from cloning.engine.semantic.choice import Sampling
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.sampling import Utterance, code_bound, decode_batch, prepare
from cloning.engine.starter.items import TimedItem
from cloning.engine.text.classes import NAMED, PAUSE, REDUCED, classes_of

#: How codes are drawn when judged: as the platform draws them.
SAMPLING = Sampling(top_k=15, temperature=1.0, repetition_penalty=1.0)


def runs(told: Sequence[int]) -> list[int]:
    """Phones of frames (20 ms) in order: runs of at least two frames, pauses left out, the reduced vowel named."""
    found: list[list[int]] = []
    for phone in (NAMED if p == REDUCED else p for p in told):
        if found and found[-1][0] == phone:
            found[-1][1] += 1
        else:
            found.append([phone, 1])
    return [phone for phone, length in found if length > 1 and phone != PAUSE]


@torch.inference_mode()
def heard_in_codes(encoder: ContentEncoder, codebook: Tensor, codes: Tensor) -> list[int]:
    """What codes (T,) say, without a voice: their centroids are content frames."""
    frames = codebook.float()[codes].view(1, -1, encoder.config.dim)
    return runs(encoder.heads(frames)[0][0].argmax(-1).tolist())


@torch.inference_mode()
def heard(encoder: ContentEncoder, wave: np.ndarray) -> list[int]:
    """What a wave at 16 kHz says."""
    return runs(encoder.heads(encoder(torch.from_numpy(wave.astype(np.float32))[None]))[0][0].argmax(-1).tolist())


def wanted(item: TimedItem) -> list[int]:
    """The phones of the item's text."""
    return classes_of(item.phones.tolist())


def errors(truth: Sequence[int], told: Sequence[int]) -> int:
    """Levenshtein distance."""
    row = list(range(len(told) + 1))
    for i, right in enumerate(truth, 1):
        row, above = [i], row
        for j, got in enumerate(told, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (right != got)))
    return row[-1]


def rate(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
    """Errors per phone of the truth, over all pairs (truth, told)."""
    return sum(errors(a, b) for a, b in pairs) / max(1, sum(len(a) for a, _ in pairs))


def phone_error_of_codes(encoder: ContentEncoder, codebook: Tensor, items: Sequence[TimedItem]) -> float:
    """Of the items' own codes: the floor of what S1 can reach."""
    return rate([(wanted(i), heard_in_codes(encoder, codebook, i.codes)) for i in items])


def phone_error_of_reading(
    model: Text2Semantic,
    encoder: ContentEncoder,
    codebook: Tensor,
    items: Sequence[TimedItem],
    prompts: Sequence[TimedItem] | None = None,
    sampling: Sampling = SAMPLING,
) -> tuple[float, float]:
    """S1 reads the items' texts aloud in codes, behind a prompt or without -> (phone error, share that ended)."""
    behind: Sequence[TimedItem | None] = prompts or [None] * len(items)
    said = [
        Utterance(
            item.phones if prompt is None else torch.cat((prompt.phones, item.phones)),
            torch.Generator().manual_seed(number),
            sampling,
            code_bound(len(item.phones)),
            prompt=None if prompt is None else prompt.codes,
        )
        for number, (item, prompt) in enumerate(zip(items, behind, strict=True))
    ]
    decoded = decode_batch(prepare(model), said)
    pairs = [(wanted(i), heard_in_codes(encoder, codebook, d.codes)) for i, d in zip(items, decoded, strict=True)]
    return rate(pairs), sum(d.ended for d in decoded) / len(decoded)


@torch.inference_mode()
def phone_error_of_copies(
    model: AcousticModel, encoder: ContentEncoder, items: Sequence[TimedItem], styles: Sequence[TimedItem]
) -> tuple[float, float]:
    """S2 says the items' own codes in the style of other utterances -> phone error of the (sources, copies)."""
    model.eval()
    sources, copies = [], []
    for number, (item, other) in enumerate(zip(items, styles, strict=True)):
        style = model.reference_style([linear(sound(other)[None], model.audio)])
        generator = torch.Generator().manual_seed(number)
        said = model.decode(item.codes[None], item.phones[None], style, generator=generator, noise_scale=0.5)
        sources.append((wanted(item), heard(encoder, sound(item).numpy())))
        copies.append((wanted(item), heard(encoder, said[0, 0].float().numpy())))
    return rate(sources), rate(copies)


def sound(item: TimedItem) -> Tensor:
    """The item's wave as float32 in -1..1, also where it lies on the disk as 16-bit integers."""
    return item.wave if item.wave.dtype == torch.float32 else item.wave.float() / 32767
