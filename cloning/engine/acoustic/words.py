"""Which phone does each frame say? The text laid along the codes, for S2 configurations that ask for it.

S2's attention over the phones (MRTE) is meant to find this. In a small base it never did: its weights are the same for
every frame, and what is told from codes alone is blurred, tones most of all. Where `phone_classes` is not 0 the place
of every frame in the text is found outright: the codes' frames are content features, whose phone classes the content
encoder's own head tells, and the best way of the text through them (`cloning.engine.alignment`) gives each frame its
phone. Shapes: B items, F frames, X phones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cloning.engine import alignment
from cloning.engine.config import AcousticConfig
from cloning.engine.text.classes import phone_class
from cloning.engine.text.symbols import SYMBOLS

#: Phones on either side of its own that a frame is told of.
NEAR = 2
#: Numbers beside the phones: share of the phone gone by, its distance from the middle, whether this is a pause.
PLACE = 3


def width(config: AcousticConfig) -> int:
    """Channels of what `AlignedWords` says of a frame; 0 where nothing is asked for."""
    return (2 * NEAR + 1) * config.phone_width + PLACE if config.phone_classes else 0


class Way:
    """A way through a text: `phone` F, the place in the text of the phone said last; `pause` F, whether it is over."""

    def __init__(self, phone: npt.NDArray[np.int64], pause: npt.NDArray[np.bool_]) -> None:
        self.phone = phone
        self.pause = pause

    def places(self) -> npt.NDArray[np.float32]:
        """F x PLACE: the share of the phone, its pause included, that is gone by in the middle of the frame, how far
        that is from the middle, and whether this is a pause."""
        _, starts, counts = np.unique(self.phone, return_index=True, return_counts=True)
        share = (np.arange(len(self.phone)) - np.repeat(starts, counts) + 0.5) / np.repeat(counts, counts)
        return np.stack((share, np.abs(share - 0.5), self.pause), 1).astype(np.float32)


class AlignedWords(nn.Module):
    """For each frame its phone and the neighbours of that in the text, as learnt vectors, and the place in the phone.

    `heard` is the content encoder's phone head, as the codebook is its own: neither moves in training.
    """

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.heard = nn.Conv1d(config.content_dim, config.phone_classes, 1).requires_grad_(False)
        self.narrow = nn.Linear(config.hidden, config.phone_width)

    def hear(self, weight: Tensor, bias: Tensor) -> None:
        """Take the content encoder's phone head: classes x content_dim, classes."""
        self.heard.load_state_dict({"weight": weight.unsqueeze(2), "bias": bias})

    def forward(self, frames: Tensor, lengths: Tensor, phones: Tensor, phone_lengths: Tensor, text: Tensor) -> Tensor:
        """frames B x content_dim x F, lengths B, phones B x X, their lengths B, text B x X x hidden (the phones'
        vectors) -> B x width x F. Zeros beyond an item's frames, and all over where its text has nothing to hear."""
        return self.spelled(self.ways(frames, lengths, phones, phone_lengths), phone_lengths, text, frames.shape[2])

    def ways(self, frames: Tensor, lengths: Tensor, phones: Tensor, phone_lengths: Tensor) -> list[Way | None]:
        """The first half of `forward`, without a gradient: the way of each item through its text."""
        with torch.no_grad():
            heard = alignment.heard(self.heard(frames.float()).transpose(1, 2))
        counts = zip(lengths.tolist(), phone_lengths.tolist(), strict=True)
        return [lay(heard[row, :f], phones[row, :x].tolist()) for row, (f, x) in enumerate(counts)]

    def spelled(self, ways: Sequence[Way | None], phone_lengths: Tensor, text: Tensor, count: int) -> Tensor:
        """The second half: ways through texts B x X x hidden -> B x width x `count`."""
        vectors = self.narrow(text)
        out = vectors.new_zeros(len(ways), (2 * NEAR + 1) * vectors.shape[2] + PLACE, count)
        for row, (way, symbols) in enumerate(zip(ways, phone_lengths.tolist(), strict=True)):
            if way is None:
                continue
            at = torch.from_numpy(way.phone).to(vectors.device)
            near = [vectors[row, (at + step).clamp(0, symbols - 1)] for step in range(-NEAR, NEAR + 1)]
            places = torch.from_numpy(way.places()).to(vectors)
            out[row, :, : len(at)] = torch.cat((*near, places), 1).T
        return out


def lay(said: npt.NDArray[np.float32], ids: list[int]) -> Way | None:
    """The best way of frames (log probabilities F x classes) through a text's symbols, from its first phone on; None
    where there is no phone in it, or no frame."""
    classes = ((place, phone_class(SYMBOLS[row])) for place, row in enumerate(ids) if row < len(SYMBOLS))
    known = [(place, phone) for place, phone in classes if phone is not None]
    if not known or not len(said):
        return None
    path = alignment.way(said, [phone for _, phone in known])
    # A pause belongs to the phone before it, the one before the first phone to that.
    return Way(np.array([place for place, _ in known])[np.maximum(path - 1, 0) // 2], path % 2 == 0)
