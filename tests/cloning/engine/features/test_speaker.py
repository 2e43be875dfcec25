from pathlib import Path

import pytest
import torch

from cloning.engine.errors import CheckpointError
from cloning.engine.features.speaker import SPEAKER_DIM, SpeakerEncoder, load_speaker_encoder, speaker_encoder
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.weights import bare, fill, outline
from tests.cloning.engine.official import arrays, manifest, needs_fixtures


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """All 1,001 tensors of the published file; the ones that are not built are here in their published shapes."""
    shapes = outline(SpeakerEncoder)
    counters = {name.replace("running_var", "num_batches_tracked"): () for name in shapes if name.endswith("_var")}
    unused = {"seg_1.weight": (192, 40960), "seg_1.bias": (192,)}
    return recipe_state(shapes | counters | unused, 3801)


def test_the_names_are_those_of_the_published_file(weights: dict[str, torch.Tensor]) -> None:
    assert len(weights) == 1001
    assert weights["layer3.0.fuse_models.2.local_att.3.weight"].shape == (96, 24, 1, 1)
    assert weights["layer4.0.shortcut.0.weight"].shape == (2048, 1024, 1, 1)


@needs_fixtures
def test_equals_the_official_fixture(weights: dict[str, torch.Tensor]) -> None:
    official = arrays("sv.npz")
    assert manifest("sv.npz")["recipe_seed"] == 3801
    model = speaker_encoder(weights)
    vector = model.embed(official["wav16k"])
    assert vector.shape == (1, SPEAKER_DIM)
    assert (vector - official["sv_emb"]).abs().max() <= 1e-4 * official["sv_emb"].abs().max()


def test_folding_the_norms_changes_nothing(weights: dict[str, torch.Tensor]) -> None:
    plain = fill(SpeakerEncoder, {name: weights[name] for name in outline(SpeakerEncoder)})
    folded = speaker_encoder(weights)
    assert not any(name.endswith("running_var") for name in folded.state_dict())
    features = torch.randn(1, 20, 80, generator=torch.Generator().manual_seed(1))
    expected = plain(features)
    assert (folded(features) - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "sv.ckpt")
    with pytest.raises(CheckpointError) as refusal:
        load_speaker_encoder(tmp_path / "sv.ckpt")
    assert refusal.value.code == "wrong_weights"
    torch.save([torch.zeros(3)], tmp_path / "sv.ckpt")
    with pytest.raises(CheckpointError) as refusal:
        load_speaker_encoder(tmp_path / "sv.ckpt")
    assert refusal.value.code == "not_readable"


def test_building_it_allocates_nothing() -> None:
    assert all(value.is_meta for value in bare(SpeakerEncoder).state_dict().values())
