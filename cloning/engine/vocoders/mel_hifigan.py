"""v4's vocoder: HiFi-GAN from 100 mels at 32 kHz, 320 samples apart, to a wave at 48 kHz (480 samples a frame).

The published file is a bare state dict with weight norm already folded and no settings: everything but the width is
fixed, and the width stands in the first convolution's shape.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from cloning.engine.acoustic.hifigan import Shape, Upsampler
from cloning.engine.acoustic.layers import fold_weight_norm
from cloning.engine.errors import CheckpointError

RATES = (10, 6, 2, 2, 2)
KERNELS = (20, 12, 4, 4, 4)
MELS = 100
#: Widest first convolution accepted; the published file has 512.
MOST_CHANNELS = 2048


def shape_of(found: Mapping[str, Tensor]) -> Shape:
    """The model that a state dict asks for. Raises CheckpointError `wrong_weights`."""
    first = found.get("conv_pre.weight")
    channels = first.shape[0] if first is not None and first.dim() == 3 else 0
    if not 0 < channels <= MOST_CHANNELS or channels % 2 ** len(RATES):
        raise CheckpointError("wrong_weights", "conv_pre.weight is not the first layer of v4's vocoder")
    return Shape(
        inputs=MELS,
        initial=channels,
        rates=RATES,
        kernels=KERNELS,
        block_kernels=(3, 7, 11),
        dilations=((1, 3, 5), (1, 3, 5), (1, 3, 5)),
        final_bias=True,
    )


def folded(shape: Shape) -> Upsampler:
    """The model under the names of the published file. Weights are not yet those of a file."""
    model = Upsampler(shape)
    fold_weight_norm(model)
    return model
