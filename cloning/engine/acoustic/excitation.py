"""What drives the vocoder of the starter configuration: a pulse train at the pitch, and noise.

A transposed convolution repeats itself every hop while its input stands still, so a vocoder without a source must learn
to be an oscillator before it can hold a pitch; a small one that has seen hours instead of weeks of speech hums at the
frame rate. Here the oscillator is given (neural source-filter models, Wang et al. 2019; HiFi-GAN with a source, as in
HiFTNet, Li et al. 2023), and the vocoder learns the filter. Official configurations have no source.

The pitch travels with the latent: four channels behind its own (`carry`), so that any stretch of a latent can be turned
into sound by itself and fits its neighbours. Nothing here is random: the noise is one fixed table walked along by frame
number. Shapes: B items, F frames, hop samples a frame, N = F * hop.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic import words
from cloning.engine.config import AcousticConfig, AudioConfig
from cloning.engine.features.spectrogram import magnitude, window

#: Channels that `carry` puts behind a latent: cycles per frame, phase at the frame's first sample (cycles, 0..1),
#: voicing 0..1, frame number.
CARRIED = 4
#: Channels of the source: pulses and noise.
SOURCES = 2
#: Pitch that is looked for and told, in Hz.
LOWEST, HIGHEST = 60.0, 500.0
#: The pitch that the head's 0 stands for.
MIDDLE = 150.0
#: Autocorrelation, relative to that at lag 0, from which a frame counts as voiced.
VOICED = 0.5
#: A lag is the period when its correlation comes this near to the best one's: every multiple correlates as well.
NEARLY = 0.93
#: Frames quieter than this share of the utterance's loudest one are unvoiced.
QUIET = 0.03
#: Share of the loudest frame's energy from which a frame counts in `periodicity_loss`.
LOUD = 0.01
#: Highest harmonic, as a share of the sampling rate.
TOP = 0.475
#: Frames of the table of noise.
TABLE = 64
#: Strength of either source, about that of the hidden samples they join.
LEVEL = 0.5
#: Spread of the weights by which the source joins at first: stronger ones drown what the latent says.
DEVIATION = 0.02


@dataclass(frozen=True, slots=True)
class Pitch:
    """`cycles` B x F per frame, also where nothing is voiced (there the neighbour's); `voiced` B x F, 0 or 1 as
    measured, in between as told by a head."""

    cycles: Tensor
    voiced: Tensor


def measure(spec: Tensor, audio: AudioConfig) -> Pitch:
    """The pitch of linear magnitudes B x bins x F, by the autocorrelation of each frame (Boersma 1993: divided by that
    of the window)."""
    lags = math.ceil(audio.sample_rate / LOWEST) + 2
    with torch.no_grad(), torch.autocast(spec.device.type, enabled=False):
        power = spec.float().square().transpose(1, 2)
        correlation = correlations(power, audio.n_fft, lags)
        energy = correlation[..., :1].clamp(min=1e-9)
        fair = correlation / energy / _window_correlation(audio.win, audio.n_fft, lags).to(spec.device)
        first = math.floor(audio.sample_rate / HIGHEST)
        looked = fair[..., first:-1]
        peak = (looked >= fair[..., first - 1 : -2]) & (looked >= fair[..., first + 1 :])
        good = peak & (looked >= NEARLY * looked.amax(-1, keepdim=True))
        # argmax of a comparison gives the first place that holds
        place = torch.where(good.any(-1), good.float().argmax(-1), looked.argmax(-1)) + first
        before, here, after = (fair.gather(-1, (place + step)[..., None])[..., 0] for step in (-1, 0, 1))
        bend = (before - 2 * here + after).clamp(max=-1e-9)
        lag = place + (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
        loud = energy[..., 0].sqrt()
        voiced = (here > VOICED) & (loud > QUIET * loud.amax(-1, keepdim=True))
        return Pitch(_held(audio.hop / lag, voiced, audio), voiced.float())


@functools.lru_cache(maxsize=8)
def _window_correlation(win: int, n_fft: int, lags: int) -> Tensor:
    with torch.inference_mode(False):
        spectrum = torch.fft.rfft(window(win), n_fft)
        correlation = torch.fft.irfft(spectrum.abs().square(), n_fft)[:lags]
        return correlation / correlation[0]


def _held(cycles: Tensor, voiced: Tensor, audio: AudioConfig) -> Tensor:
    """Unvoiced frames take the value of the voiced one before them, those at the beginning of the first one after."""
    count = cycles.shape[1]
    places = torch.arange(count, device=cycles.device).expand_as(voiced)
    last = torch.where(voiced, places, -1).cummax(1).values
    first = torch.where(voiced, places, count).amin(1, keepdim=True).expand_as(last)
    source = torch.where(last >= 0, last, first)
    middle = MIDDLE * audio.hop / audio.sample_rate
    return torch.where(source < count, cycles.gather(1, source.clamp(max=count - 1)), middle)


class PitchHead(nn.Module):
    """The pitch of the latent's prior: what the codes, the words and the style leave to be said."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        width, self.latent = config.pitch_hidden, config.latent
        told = words.width(config)
        self.words = nn.Conv1d(told, width, 5, padding=2) if told else None
        # Which phone is said counts for more than the deviation.
        self.pre = nn.Conv1d(config.latent if told else 2 * config.latent, width, 5, padding=2)
        self.cond = nn.Conv1d(config.style, width, 1)
        self.mid = nn.Conv1d(width, width, 5, padding=2)
        self.far = nn.Conv1d(width, width, 5, padding=4, dilation=2) if told else None
        self.post = nn.Conv1d(width, 2, 1)

    def forward(self, mean: Tensor, log_deviation: Tensor, mask: Tensor, style: Tensor) -> Tensor:
        """mean and log deviation B x latent x F, the words behind the latter where they are aligned, mask B x 1 x F,
        style B x style x 1 -> B x 2 x F: log pitch above MIDDLE, and voicing before the sigmoid."""
        if self.words is None:
            hidden = self.pre(torch.cat((mean, log_deviation), 1))
        else:
            hidden = self.pre(mean) + self.words(log_deviation[:, self.latent :])
        hidden = F.leaky_relu(hidden + self.cond(style), 0.1)
        hidden = F.leaky_relu(self.mid(hidden * mask), 0.1)
        if self.far is not None:
            hidden = hidden + F.leaky_relu(self.far(hidden * mask), 0.1)
        told: Tensor = self.post(hidden)
        return told


def told(head: Tensor, audio: AudioConfig) -> Pitch:
    """What a head's B x 2 x F says."""
    limits = (math.log(LOWEST / MIDDLE), math.log(HIGHEST / MIDDLE))
    hertz = MIDDLE * head[:, 0].float().clamp(*limits).exp()
    return Pitch(hertz * (audio.hop / audio.sample_rate), head[:, 1].float().sigmoid())


def loss(head: Tensor, truth: Pitch, mask: Tensor, audio: AudioConfig) -> Tensor:
    """How far each item of a head's B x 2 x F is from the truth over its real frames, B: log pitch where voiced, and
    voicing."""
    frames = mask[:, 0].float()
    wanted = (truth.cycles * (audio.sample_rate / audio.hop / MIDDLE)).log()
    voiced = frames * truth.voiced
    apart = F.smooth_l1_loss(head[:, 0].float(), wanted, reduction="none", beta=0.1)
    heard = F.binary_cross_entropy_with_logits(head[:, 1].float(), truth.voiced, reduction="none")
    return (apart * voiced).sum(1) / voiced.sum(1).clamp(min=1) + (heard * frames).sum(1) / frames.sum(1).clamp(min=1)


def correlations(power: Tensor, n_fft: int, lags: int) -> Tensor:
    """Power spectra ... x bins -> autocorrelations ... x lags of the windowed frames, around the circle of n_fft."""
    return torch.fft.irfft(power, n_fft)[..., :lags]


def periodicity_loss(fake: Tensor, real: Tensor, audio: AudioConfig) -> Tensor:
    """Mean absolute difference of the waves' (B x 1 x N) normalised autocorrelations at the lags of voices, in frames
    that are not quiet. Spectral distances hardly tell a hum at the frame rate from a voice; this does from the first
    step, and without it the source is not taken up."""
    lags = math.ceil(audio.sample_rate / LOWEST)
    with torch.autocast(fake.device.type, enabled=False):
        ours, theirs = (
            correlations(
                magnitude(wave[:, 0], n_fft=audio.n_fft, win=audio.win, hop=audio.hop // 2).square().transpose(1, 2),
                audio.n_fft, lags,
            )
            for wave in (fake, real)
        )  # fmt: skip
        energy = theirs[..., 0]
        loud = (energy > LOUD * energy.amax(1, keepdim=True).clamp(min=1e-3)).float()
        apart = ours / (ours[..., :1] + 1e-4) - theirs / (theirs[..., :1] + 1e-4)
        heard = apart[..., math.floor(audio.sample_rate / HIGHEST) :].abs().mean(-1)
        return (heard * loud).sum() / loud.sum().clamp(min=1)


def carry(z: Tensor, pitch: Pitch, *, phase: float = 0.0, number: int = 0) -> Tensor:
    """A latent B x C x F -> B x (C + CARRIED) x F, float32. Its first frame begins at `phase` (cycles) and is the
    `number`-th of the sound."""
    cycles, count = pitch.cycles.double(), z.shape[2]
    # What the straight line between frames' centres adds up to over each frame (see `drive`).
    around = F.pad(cycles[:, None], (1, 1), mode="replicate")[:, 0]
    steps = 0.75 * cycles + 0.125 * (around[:, :-2] + around[:, 2:])
    starts = (steps.cumsum(1) - steps + phase) % 1.0
    numbers = torch.arange(number, number + count, device=z.device).expand_as(starts) % TABLE
    carried = torch.stack((cycles, starts, pitch.voiced.double(), numbers.double()), 1)
    return torch.cat((z.float(), carried.float()), 1)


def place(carried: Tensor, frame: int) -> tuple[float, int]:
    """Phase and number of a frame of what `carry` gave for one item: where a latent that begins there goes on."""
    return float(carried[0, -3, frame]), round(float(carried[0, -1, frame]))


def drive(carried: Tensor, hop: int, top: float = TOP) -> Tensor:
    """The channels of `carry`, B x CARRIED x F -> the source, B x SOURCES x N: band-limited pulses, noise.

    Between the centres of frames the pitch and the voicing go in straight lines. Each frame starts at its own phase, so
    a stretch cut from a longer sound is the same but for its first frame and half of its last.
    """
    with torch.autocast(carried.device.type, enabled=False):
        batch, _, count = carried.shape
        lines = F.interpolate(carried[:, (0, 2)], scale_factor=hop, mode="linear", align_corners=False)
        rate = (lines[:, 0] / hop).view(batch, count, hop)
        phase = carried[:, 1, :, None] + rate.cumsum(2) - 0.5 * rate
        harmonics = (top / rate.clamp(min=1e-4)).floor().clamp(min=1)
        half = math.pi * (phase % 1.0)
        low = half.sin()
        small = low.abs() < 1e-4
        # Dirichlet's kernel: 1 + 2 * sum of cos(2 pi k phase) for k = 1 .. harmonics
        kernel = torch.where(
            small, 2 * harmonics + 1, ((2 * harmonics + 1) * half).sin() / torch.where(small, torch.ones_like(low), low)
        )
        pulses = ((kernel - 1) / (2 * harmonics).sqrt()).view(batch, -1) * lines[:, 1]
        numbers = carried[:, 3].round().long() % TABLE
        noise = _noise(hop).to(carried.device)[numbers].view(batch, -1)
        return LEVEL * torch.stack((pulses, noise), 1)


@functools.lru_cache(maxsize=8)
def _noise(hop: int) -> Tensor:
    """TABLE x hop standard normal numbers, the same in every process."""
    with torch.inference_mode(False):
        return torch.randn(TABLE, hop, generator=torch.Generator().manual_seed(20_261_128))


class Injection(nn.ModuleList):
    """The source at the rate of each stage of the vocoder: one strided convolution a stage, B x SOURCES x N ->
    B x width x (N / stride)."""

    def __init__(self, widths: list[int], rates: tuple[int, ...]) -> None:
        super().__init__()
        for stage, width in enumerate(widths):
            stride = math.prod(rates[stage + 1 :])
            kernel, edge = (2 * stride, stride // 2) if stride > 1 else (7, 3)
            join = nn.Conv1d(SOURCES, width, kernel, stride, edge)
            nn.init.normal_(join.weight, std=DEVIATION)
            self.append(join)
