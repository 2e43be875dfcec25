"""Where is somebody speaking? Silero VAD (MIT), rebuilt in plain torch from the weights inside its package.

The network (16 kHz branch): frames of 512 samples (32 ms) with the 64 samples before them; a learnt STFT (258 filters,
the first 129 are real parts); four convolutions that end in one 128-vector a frame; an LSTM over frames; a sigmoid.
Only the LSTM depends on the frame before, so everything else runs on all frames at once: many times faster than the
package's own frame-by-frame loop, with the same numbers. The package itself is not imported: it would set
torch's thread count for the whole process and load TorchScript.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from consent.biometrics.audio import MODEL_RATE, AudioError

MODEL: Final = "silero-vad-6.2.3"
#: Samples of one decision: 32 ms.
FRAME: Final = 512
_CONTEXT: Final = 64
#: Frames of one batch: bounds the memory of a 20 minute recording to some tens of megabytes.
_BATCH: Final = 1024
#: Upstream's defaults: speech begins at 0.5 and ends below 0.35.
ENTER: Final = 0.5
LEAVE: Final = 0.35
#: Gaps of up to three frames (96 ms) inside speech are closures of plosives, not pauses.
_FILL: Final = 3


class WeightsMissing(RuntimeError):
    """A model file that should be inside an installed package is not there."""


def packaged_file(package: str, *parts: str) -> Path:
    """The path of a data file inside an installed package, which is NOT imported. Raises WeightsMissing."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder).joinpath(*parts)
        if path.is_file():
            return path
    raise WeightsMissing(f"{package} has no file {'/'.join(parts)}: is the package installed whole?")


class _Network(nn.Module):
    """Batches of frames (frames, 576) to speech probabilities (frames,); the LSTM state goes along."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(
        self, frames: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        x = nn.functional.pad(frames[:, None], (0, _CONTEXT), mode="reflect")
        x = self.stft_conv(x)
        x = torch.sqrt(x[:, :129] ** 2 + x[:, 129:] ** 2)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = torch.relu(layer(x))
        hidden, state = self.lstm(x.squeeze(-1), state)
        return torch.sigmoid(self.final_conv(torch.relu(hidden)[:, :, None])).flatten(), state


@functools.cache
def _network() -> _Network:
    weights = load_file(packaged_file("silero_vad", "data", "silero_vad_16k.safetensors"))
    renamed = {
        (f"lstm.{name.removeprefix('lstm_cell.')}_l0" if name.startswith("lstm_cell.") else name): tensor
        for name, tensor in weights.items()
    }
    network = _Network().eval()
    network.load_state_dict(renamed)
    return network


def probabilities(sound: np.ndarray) -> np.ndarray:
    """Probability of speech for each 32 ms frame of 16 kHz sound (samples,); the last frame is padded with zeros."""
    count = -(-sound.size // FRAME)
    padded = np.zeros(_CONTEXT + count * FRAME, dtype=np.float32)
    padded[_CONTEXT : _CONTEXT + sound.size] = sound
    frames = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + FRAME)[::FRAME]
    network, state, found = _network(), None, []
    with torch.inference_mode():
        for start in range(0, count, _BATCH):
            batch, state = network(torch.from_numpy(frames[start : start + _BATCH].copy()), state)
            found.append(batch.numpy())
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def frame_mask(sound: np.ndarray) -> np.ndarray:
    """True for each 32 ms frame of 16 kHz sound that is speech: hysteresis, then short gaps filled."""
    mask = np.zeros(-(-sound.size // FRAME), dtype=bool)
    speaking = False
    for index, probability in enumerate(probabilities(sound)):
        speaking = bool(probability >= (LEAVE if speaking else ENTER))
        mask[index] = speaking
    for start, stop in runs(~mask):
        if start > 0 and stop < mask.size and stop - start <= _FILL:
            mask[start:stop] = True
    return mask


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open index ranges in which a boolean array is True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def spoken(sound: np.ndarray, *, margin: int = 3) -> tuple[np.ndarray, np.ndarray, float]:
    """Cut silence out of 16 kHz sound.

    Returns the speech with ``margin`` frames (96 ms) kept around each stretch, float32 (kept,); the index each kept
    sample had in ``sound``, int (kept,); and the net seconds of speech, the margins not counted.
    Raises AudioError ``no_speech``.
    """
    mask = frame_mask(sound)
    if not mask.any():
        raise AudioError("no_speech", "nobody speaks in the recording")
    kept = np.zeros_like(mask)
    for start, stop in runs(mask):
        kept[max(0, start - margin) : stop + margin] = True
    index = np.flatnonzero(np.repeat(kept, FRAME)[: sound.size])
    return sound[index], index, float(mask.sum() * FRAME / MODEL_RATE)
