"""The walk over S2's boundaries: order, and what is left out when its inputs are not there."""

from __future__ import annotations

import torch
from torch import Tensor

from cloning.engine.acoustic.boundaries import code_margin, walk
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import tiny
from tests.cloning.engine.acoustic.made import sourceless

#: The walk is for configurations of official files: no source.
CONFIG = sourceless(tiny())
BASE = ["ref_enc", "quantizer_decode", "encoder_ssl", "encoder_text", "mrte", "enc_p_x", "m_p", "logs_p"]
WAVES = ["flow_reverse", "dec_wave", "decode_ns0", "decode_ns0_speed0.8", "decode_ns0_speed1.3"]


def build() -> AcousticModel:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return AcousticModel(CONFIG.acoustic, CONFIG.audio, posterior=False).eval()


def inputs(codes: int) -> dict[str, Tensor]:
    return {
        "codes_in": torch.arange(codes)[None, None],
        "text": torch.arange(5)[None],
        "refer": torch.rand(1, CONFIG.audio.bins, 9, generator=torch.Generator().manual_seed(1)),
    }


def test_what_the_given_inputs_allow_is_walked_in_order() -> None:
    assert [name for name, _ in walk(build(), inputs(8))] == BASE + WAVES


def test_every_further_input_adds_its_boundaries() -> None:
    more = inputs(14)
    more["refer2"] = more["refer"] * 0.5
    more["ssl"] = torch.rand(1, CONFIG.acoustic.content_dim, 12, generator=torch.Generator().manual_seed(2))
    more["noise"] = more["flow_forward_in"] = torch.ones(1, CONFIG.acoustic.latent, 28)
    values = dict(walk(build(), more))
    assert set(values) - set(BASE) - set(WAVES) == {
        "extract_latent_codes",
        "ssl_proj",
        "code_margin",
        "flow_forward",
        "decode_ns0_tworefs",
        "decode_ns05_noise",
        "stream1_wave",
        "stream1_latent",
        "stream2_wave",
        "stream2_latent",
    }
    assert values["stream2_latent"].shape == (1, CONFIG.acoustic.hidden, 8)


def test_the_short_form_gives_codes_and_wave() -> None:
    short = inputs(6)
    short["codes"] = short.pop("codes_in")
    short["ssl"] = torch.rand(1, CONFIG.acoustic.content_dim, 12, generator=torch.Generator().manual_seed(2))
    values = dict(walk(build(), short))
    assert list(values) == ["extract_latent", "wave"]
    assert values["wave"].shape == (1, 1, 12 * CONFIG.audio.hop)


def test_the_margin_is_the_distance_between_the_two_nearest_entries() -> None:
    model = build()
    entries = torch.zeros_like(model.quantizer.book.embed)
    entries[:, 0] = torch.arange(len(entries))
    model.quantizer.set_entries(entries)
    vectors = torch.zeros(1, entries.shape[1], 2)
    vectors[0, 0] = torch.tensor([0.25, 3.5])
    torch.testing.assert_close(code_margin(model, vectors), torch.tensor([[0.5, 0.0]]))
