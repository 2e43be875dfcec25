"""Sounds for the watermark's tests."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter

from demo.flite.speaker import speak
from foundation import certificates
from watermark.labels.manifest import Credential

Wave = NDArray[np.float32]
KEY = bytes(range(32))

TEXTS = (
    "A quick brown fox was seen near the old mill, and nobody could tell us where it had come from that evening.",
    "Please read the next page slowly; the committee decided to publish every figure that it had gathered so far.",
)


def _buzzy(seed: int, seconds: float, rate: int = 32_000) -> Wave:
    """Speech-like sound: a pulse train and noise through wandering resonances, in syllables."""
    rng = np.random.default_rng(seed)
    count = int(seconds * rate)
    pitch = 110 * 2 ** (np.cumsum(rng.standard_normal(count)) / 4_000 + rng.uniform(-0.5, 0.8))
    source = (np.diff(np.floor(np.cumsum(pitch) / rate), prepend=0) > 0) * 8.0 + rng.standard_normal(count)
    out = np.zeros(count)
    syllable = int(0.14 * rate)
    for start in range(0, count, syllable):
        part = source[start : start + syllable] * np.hanning(min(syllable, count - start)) * rng.uniform(0.2, 1)
        formants = rng.uniform((250, 900, 2_200, 3_500), (800, 2_200, 3_400, 6_500))
        for formant, width in zip(formants, (90, 120, 200, 600), strict=True):
            pole = np.exp(-np.pi * width / rate)
            resonance = [1, -2 * pole * np.cos(2 * np.pi * formant / rate), pole**2]
            heard = lfilter([1 - pole], resonance, source[start : start + syllable])
            part = part + 0.5 * heard * np.hanning(min(syllable, count - start))
        out[start : start + syllable] = part
    return (0.5 * out / np.abs(out).max()).astype(np.float32)


@pytest.fixture(scope="session")
def buzzy() -> Callable[..., Wave]:
    return _buzzy


@pytest.fixture(scope="session")
def speech() -> Wave:
    """Six seconds and more at 32 kHz, by the voice the detector was never trained on."""
    wave, rate = speak(TEXTS[0], voice="awb")
    return np.asarray(soxr.resample(wave, rate, 32_000) * 0.7, np.float32)


@pytest.fixture(scope="session")
def other_speech() -> Wave:
    wave, rate = speak(TEXTS[1], voice="slt")
    return np.asarray(soxr.resample(wave, rate, 32_000) * 0.7, np.float32)


@pytest.fixture(scope="session")
def credential(tmp_path_factory: pytest.TempPathFactory) -> Credential:
    """A test chain, made as set-up makes it."""
    folder = tmp_path_factory.mktemp("c2pa")
    certificates.make_missing(folder)
    made = certificates.load(folder)
    return Credential(made.private_key, made.chain, made.roots)


@pytest.fixture(scope="session")
def key() -> bytes:
    return KEY
