"""The training's network is the one that runs, its examples are aligned, and its one command leaves usable weights."""

import dataclasses
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from watermark.codec import soft, train, training_data
from watermark.codec.codeword import codewords
from watermark.codec.embed import marked_once
from watermark.codec.grid import BANDS, HOPS_PER_CHIP
from watermark.codec.training_data import PIECE_CHIPS, Examples, example

PAYLOAD = 77
SHIFTS = (0, 700, 1_500)
#: Degradations that need no program, and keep the length.
PLAIN = ("none", "telephone", "white", "pink", "loud noise", "music", "room", "loudspeaker", "clipped", "echo")


@pytest.fixture(scope="module")
def pieces(speech, key):
    """Pieces of marked speech that begin at several places within a chip."""
    marked, code = marked_once(speech, 32_000, PAYLOAD, key, 2.0), codewords(key, [PAYLOAD])[0]
    made = [example(marked[shift:], code, shift) for shift in SHIFTS]
    return Examples(*(np.stack(part) for part in zip(*made, strict=True)))


def test_torch_hears_what_numpy_hears(pieces):
    import torch

    model = train.untrained()
    model.load_state_dict({name: torch.from_numpy(part) for name, part in load_file(soft.WEIGHTS).items()})
    seen = pieces.seen[0].astype(np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(seen[None]))[0, 0].numpy()
    reach = training_data.REACH
    ours = soft.network()(seen, first=reach, step=HOPS_PER_CHIP)[: len(theirs)]
    assert theirs.shape == (PIECE_CHIPS, BANDS)
    assert np.abs(ours - theirs).max() < 1e-3


def test_an_examples_signs_stand_where_its_sound_holds_them(pieces):
    """Aligned, the shipped detector agrees with the signs; a chip off it does not."""
    for seen, signs, length in zip(pieces.seen, pieces.signs, pieces.lengths, strict=True):
        values = soft.network()(seen.astype(np.float32), first=training_data.REACH, step=HOPS_PER_CHIP)[:length]
        tau = [
            float((values * np.roll(signs, off, axis=0)[:length]).sum() / np.sqrt((values**2).sum()))
            for off in (-1, 0, 1)
        ]
        assert tau[1] > 12
        assert max(abs(tau[0]), abs(tau[2])) < 5


def test_one_command_writes_weights_that_the_detector_runs(pieces, tmp_path, monkeypatch):
    kept, out = tmp_path / "examples.npz", tmp_path / "soft.safetensors"
    parts = dataclasses.astuple(pieces)
    np.savez(
        kept, **{f"{name}{i}": np.repeat(part, 6, 0) for name in ("made", "judge") for i, part in enumerate(parts)}
    )
    arguments = ["train", "--examples", str(kept), "--out", str(out), "--begin", str(soft.WEIGHTS), "--minutes", "0.02"]
    monkeypatch.setattr(sys, "argv", arguments)
    train.main()
    before, after = load_file(soft.WEIGHTS), load_file(out)
    assert {name: part.shape for name, part in after.items()} == {name: part.shape for name, part in before.items()}
    assert any(np.abs(after[name] - before[name]).max() > 0 for name in before)
    assert all(np.isfinite(part).all() for part in after.values())


def test_every_degradation_that_needs_no_program_leaves_sound_of_the_same_length(speech):
    for name in PLAIN:
        heard = training_data.DEGRADATIONS[name][1](speech[: 2 * 32_000], np.random.default_rng(3))
        assert len(heard) == 2 * 32_000, name
        assert np.isfinite(heard).all(), name
