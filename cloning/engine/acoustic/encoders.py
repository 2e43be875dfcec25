"""Prior and posterior of S2: codes and text to a latent distribution, and sound to one.

Shapes: B items, C channels, F frames (50 Hz), X phones. Names of parameters as in official state dicts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.attention import Attention, RelativeEncoder
from cloning.engine.acoustic.layers import GatedStack, length_mask
from cloning.engine.config import AcousticConfig

#: Added before the logarithm of a magnitude, and the scale after it, for posterior_input "log".
LOG_FLOOR = 1e-3
LOG_SCALE = 0.5
#: Kernel of every gated stack in the posterior and the flow.
STACK_KERNEL = 5


class TextMixer(nn.Module):
    """MRTE: code frames look at the phones and take up the voice's style."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.c_pre = nn.Conv1d(config.hidden, config.mrte_width, 1)
        self.text_pre = nn.Conv1d(config.hidden, config.mrte_width, 1)
        self.cross_attention = Attention(config.mrte_width, config.mrte_heads, 0.0, None)
        self.c_post = nn.Conv1d(config.mrte_width, config.hidden, 1)

    def forward(self, frames: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor, style: Tensor) -> Tensor:
        """frames B x C x F, text B x C x X, style B x mrte_width x 1 -> B x C x F."""
        visible = text_mask.unsqueeze(2) * mask.unsqueeze(-1)
        asked = self.c_pre(frames * mask)
        phones = self.text_pre(text * text_mask)
        mixed = self.cross_attention(asked * mask, phones * text_mask, visible) + asked + style
        out: Tensor = self.c_post(mixed * mask)
        return out


class PriorEncoder(nn.Module):
    """`enc_p`: code vectors at 50 Hz, phones and style -> hidden frames, mean and log deviation of the latent prior."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()

        def encoder(layers: int) -> RelativeEncoder:
            return RelativeEncoder(config.hidden, config.filter, config.heads, layers, config.kernel, config.dropout)

        self.ssl_proj = nn.Conv1d(
            config.content_dim, config.hidden, config.code_kernel, padding=config.code_kernel // 2
        )
        self.encoder_ssl = encoder(config.code_layers)
        self.text_embedding = nn.Embedding(config.phonemes, config.hidden)
        self.encoder_text = encoder(config.text_layers)
        self.mrte = TextMixer(config)
        self.encoder2 = encoder(config.joint_layers)
        self.width = config.hidden
        self.proj = nn.Conv1d(config.hidden, 2 * config.latent, 1)

    def forward(
        self,
        frames: Tensor,
        frame_lengths: Tensor,
        phones: Tensor,
        phone_lengths: Tensor,
        style: Tensor,
        speed: float = 1.0,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """frames B x content_dim x F -> hidden B x C x F', mean and log deviation B x latent x F', mask B x 1 x F'.

        F' = F at speed 1, else int(F / speed) + 1: speech is sped up in the latent frames, so pitch does not move.
        """
        hidden, mask = self.hidden(frames, frame_lengths, phones, phone_lengths, style)
        return self.distribution(hidden, mask, speed)

    def hidden(
        self, frames: Tensor, frame_lengths: Tensor, phones: Tensor, phone_lengths: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The first half of `forward`: hidden frames B x hidden x F at speed 1, and their mask B x 1 x F."""
        mask = length_mask(frame_lengths, frames.shape[2])
        hidden = self.encoder_ssl(self.ssl_proj(frames * mask) * mask, mask)
        text_mask = length_mask(phone_lengths, phones.shape[1])
        text = self.encoder_text(self.text_embedding(phones).transpose(1, 2) * text_mask, text_mask)
        return self.encoder2(self.mrte(hidden, mask, text, text_mask, style) * mask, mask), mask

    def distribution(self, hidden: Tensor, mask: Tensor, speed: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The second half: hidden frames -> hidden, mean, log deviation and mask at `speed`, as `forward` gives
        them. What is carried behind the hidden frames goes behind the log deviation, at the same speed."""
        if speed != 1.0:
            width = int(hidden.shape[-1] / speed) + 1
            hidden = F.interpolate(hidden, size=width, mode="linear")
            mask = F.interpolate(mask, size=width, mode="nearest")
        mean, log_deviation = (self.proj(hidden[:, : self.width]) * mask).chunk(2, dim=1)
        return hidden, mean, torch.cat((log_deviation, hidden[:, self.width :]), 1), mask


class PosteriorEncoder(nn.Module):
    """`enc_q`: linear magnitude spectrogram to the latent distribution. Needed for training only."""

    def __init__(self, config: AcousticConfig, bins: int) -> None:
        super().__init__()
        self.input = config.posterior_input
        self.pre = nn.Conv1d(bins, config.posterior_hidden, 1)
        self.enc = GatedStack(config.posterior_hidden, STACK_KERNEL, config.posterior_layers, config.style)
        self.proj = nn.Conv1d(config.posterior_hidden, 2 * config.latent, 1)

    def forward(self, spec: Tensor, mask: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """spec B x bins x F (>= 0), style B x style x 1 (no gradient flows into it) -> mean, log deviation B x latent x
        F."""
        if self.input == "log":
            spec = torch.log(spec + LOG_FLOOR) * LOG_SCALE
        hidden = self.enc(self.pre(spec) * mask, mask, style.detach())
        mean, log_deviation = (self.proj(hidden) * mask).chunk(2, dim=1)
        return mean, log_deviation
