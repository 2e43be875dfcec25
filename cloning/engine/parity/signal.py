"""Spectrograms, levels, cutting at pauses and the speaker embedding."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cloning.engine.config import official
from cloning.engine.features.audio import SlicerSettings, slices
from cloning.engine.features.fbank import fbank
from cloning.engine.features.levels import content_input, sliced
from cloning.engine.features.speaker import SpeakerEncoder, speaker_encoder
from cloning.engine.features.spectrogram import MEL_FLOOR, linear, log_mel, magnitude, mel_filters, to_unit
from cloning.engine.parity.folder import Folder
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.parity.weights import seeds
from cloning.engine.weights import outline

SPECTRUM, SPECTRUM_SHARE = 1e-4, 1e-5
HALF, HALF_SHARE = 1e-3, 1e-3
ONE_STEP = 1.0
#: Share of the largest value: of the wave for another resampler of the same quality, of the speaker embedding.
RESAMPLED, EMBEDDING = 1e-4, 1e-4
FBANK = 1e-4
#: Mels of the flow-matching versions: rate in Hz, window and step in samples; 100 bands up to half the rate.
V3_MEL = (24_000, 1024, 256)
V4_MEL = (32_000, 1280, 320)
WIDE_BANDS = 100


def mels(folder: Folder, name: str, group: str) -> Row:
    """`mel.npz`: linear spectrogram and mels of v1, v2 and Pro; mels of v3 and v4."""
    sheet = Sheet(folder.arrays(name))
    audio = official("v2").audio
    wave, other = sheet.take("wav32k", "wav24k")
    spectrum = linear(wave, audio)
    sheet.close("spec", spectrum, atol=HALF, rtol=HALF_SHARE)
    head = sheet.golden["spec_head"].shape[-1]
    sheet.close("spec_head", spectrum[..., :head], atol=SPECTRUM, rtol=SPECTRUM_SHARE)
    for key in ("mel128", "mel128_direct"):
        sheet.close(key, log_mel(spectrum, audio), atol=SPECTRUM, rtol=SPECTRUM_SHARE)
    sheet.close("mel_v3", _wide(other, *V3_MEL), atol=SPECTRUM, rtol=SPECTRUM_SHARE)
    fourth = _wide(wave, *V4_MEL)
    sheet.close("mel_v4", fourth, atol=SPECTRUM, rtol=SPECTRUM_SHARE)
    sheet.close("mel_v4_normed", to_unit(fourth), atol=SPECTRUM, rtol=SPECTRUM_SHARE)
    return sheet.row(name, group)


def _wide(wave: Tensor, rate: int, size: int, hop: int) -> Tensor:
    filters = mel_filters(rate, size, WIDE_BANDS, 0.0, rate / 2)
    return torch.log((filters @ magnitude(wave, n_fft=size, win=size, hop=hop)).clamp(min=MEL_FLOOR))


def preparation(folder: Folder, name: str, group: str) -> Row:
    """`preproc.npz`: the two amplitude mixes as 16-bit sound, and what HuBERT hears."""
    sheet = Sheet(folder.arrays(name))
    wave = sheet.take("input").numpy()
    kept, heard = content_input(wave, compat=True)
    sheet.close("get_hubert_wav32k_int16", torch.from_numpy(kept), atol=ONE_STEP)
    loudest = float(sheet.golden["get_hubert_wav16k"].abs().max())
    sheet.close("get_hubert_wav16k", torch.from_numpy(heard), atol=RESAMPLED * loudest)
    sheet.close("slice_audio_int16", torch.from_numpy(sliced(wave, compat=True)), atol=ONE_STEP)
    return sheet.row(name, group)


def slicer(folder: Folder, name: str, group: str) -> Row:
    """`slicer.json`: sample offsets of the pieces of a recording that its rule rebuilds, exactly."""
    table = folder.table(name)
    sheet = Sheet(table)
    sheet.ignore(["audio_recipe"])
    rule, durations, cases = sheet.take("rule", "durs", "cases")
    random = np.random.RandomState(int(rule.partition("RandomState(")[2].partition(")")[0]))
    rate = official("v2").audio.sample_rate
    parts = []
    for seconds, amplitude in durations:
        count = int(seconds * rate)
        parts.append(random.standard_normal(count) * amplitude + random.standard_normal(count) * 0.0005)
    wave = np.concatenate(parts).astype(np.float32)
    for key, case in cases.items():
        a = case["args"]
        settings = SlicerSettings(a["threshold"], a["min_length"], a["min_interval"], a["hop_size"], a["max_sil_kept"])
        got = [[start, end, end - start] for start, end in slices(wave, rate, settings)]
        sheet.exact(key, got, case["chunks"])
    return sheet.row(name, group)


@torch.inference_mode()
def speaker(folder: Folder, name: str, group: str) -> Row:
    """`sv.npz`: filter banks and the embedding of the full-size speaker model, weights by the recipe."""
    sheet = Sheet(folder.arrays(name))
    wave = sheet.take("wav16k")
    bands = fbank(wave)
    sheet.close("fbank", bands, atol=FBANK)
    model = speaker_encoder(recipe_state(outline(SpeakerEncoder), int(seeds(folder, name)[0])))
    limit = EMBEDDING * float(sheet.golden["sv_emb"].abs().max())
    sheet.close("sv_emb", model(bands), atol=limit)
    return sheet.row(name, group)
