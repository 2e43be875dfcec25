"""A mounted encoder: its weights, its class, its own calibration; and everything a folder can get wrong."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from consent.biometrics import calibration, ecapa, encoders, speaker
from consent.biometrics.encoders import EncoderError

RATE = 16_000


def sweep() -> np.ndarray:
    t = np.arange(24_000) / RATE
    swell = 0.1 * np.sin(2 * np.pi * (200 + 300 * t) * t) * (1 + np.sin(2 * np.pi * 4 * t))
    return (swell + 0.03 * np.sin(2 * np.pi * 1_730 * t)).astype(np.float32)


def ecapa_with_known_weights() -> ecapa.Ecapa:
    model = ecapa.Ecapa().eval()
    for index, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        if tensor.dtype is not torch.float32:
            continue
        drawn = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(index))
        if "running_var" in name:
            drawn = drawn.abs() + 0.5
        else:
            drawn = drawn * (tensor[0].numel() ** -0.5 if tensor.dim() > 1 else 0.1)
            drawn = drawn + (1.0 if name.endswith("norm.weight") else 0.0)
        with torch.no_grad():
            tensor.copy_(drawn)
    return model


def describe(folder: Path, name: str, **more: str) -> Path:
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "encoder.json").write_text(json.dumps({"file": name, "sha256": digest, **more}))
    return folder


def test_ecapa_equals_speechbrains() -> None:
    """The first 8 of 192 numbers from SpeechBrain 1.1.2's ECAPA_TDNN and Fbank with the same weights."""
    model = ecapa_with_known_weights()
    assert len(model.state_dict()) == 231
    assert sum(one.numel() for one in model.parameters()) == 20_767_552
    with torch.inference_mode():
        found = torch.nn.functional.normalize(model(ecapa.features(sweep())).flatten(), dim=0)
    reference = [-0.05809, -0.03015, 0.16402, 0.03427, -0.00661, 0.04601, 0.02698, -0.18672]
    np.testing.assert_allclose(found[:8].numpy(), reference, atol=2e-5)


def test_an_ecapa_folder_embeds_and_decides_only_with_its_own_calibration(tmp_path, say, sentences) -> None:
    torch.save(ecapa_with_known_weights().state_dict(), tmp_path / "embedding_model.ckpt")
    mounted = encoders.mount(describe(tmp_path, "embedding_model.ckpt", kind="ecapa"))
    embedding = speaker.embed(say(sentences[0]), RATE, encoder=mounted)
    assert embedding.shape == (192,)
    assert float(np.linalg.norm(embedding)) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(EncoderError, match="no calibration"):
        speaker.verify([say(sentences[0])], say(sentences[1]), RATE, encoder=mounted)
    (tmp_path / "calibration.json").write_text(Path(encoders.builtin().calibration).read_text())
    encoders.mount.cache_clear()
    with pytest.raises(EncoderError, match="other weights"):
        calibration.load(encoders.mount(tmp_path))


@pytest.fixture
def onnx_folder(tmp_path) -> Path:
    """A model that answers with the mean and the mean square of four quarters of the sound."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Mul", ["wave", "wave"], ["square"]),
        helper.make_node("Slice", ["square", "zero", "quarter", "axis"], ["head"]),
        helper.make_node("Reshape", ["head", "shape"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["means"], axes=[2], keepdims=0),
    ]
    constants = {"zero": [0], "quarter": [16_000], "axis": [1], "shape": [1, 4, 4_000]}
    initial = [helper.make_tensor(name, TensorProto.INT64, [len(value)], value) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes,
        "powers",
        [helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, None])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, [1, 4])],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "model.onnx"))
    return describe(tmp_path, "model.onnx", kind="onnx", input="wave")


def test_an_onnx_folder_embeds(onnx_folder: Path) -> None:
    mounted = encoders.mount(onnx_folder)
    sound = np.repeat(np.array([0.1, 0.2, 0.3, 0.4], np.float32), 4_000)
    expected = np.array([1.0, 4.0, 9.0, 16.0]) / np.linalg.norm([1.0, 4.0, 9.0, 16.0])
    np.testing.assert_allclose(mounted.embed(sound), expected, atol=1e-5)


def test_a_changed_file_is_refused(onnx_folder: Path) -> None:
    with (onnx_folder / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(EncoderError, match="SHA-256"):
        encoders.mount(onnx_folder)


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ("[]", "object"),
        ("{", "encoder.json"),
        ('{"kind": "pickle", "file": "model.onnx"}', "kind"),
        ('{"kind": "onnx", "file": "../model.onnx"}', "without a path"),
        ('{"kind": "onnx", "file": "absent.onnx"}', "not there"),
    ],
    ids=["list", "broken", "kind", "path", "absent"],
)
def test_a_wrong_description_is_refused_by_name(tmp_path, described: str, said: str) -> None:
    (tmp_path / "encoder.json").write_text(described)
    with pytest.raises(EncoderError, match=said):
        encoders.mount(tmp_path)


@pytest.mark.parametrize("kind", ["ecapa", "onnx"])
def test_a_file_that_is_no_model_is_refused(tmp_path, kind: str) -> None:
    (tmp_path / "model").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(EncoderError, match="not"):
        encoders.mount(describe(tmp_path, "model", kind=kind, input="wave"))


def test_many_sounds_at_once_have_the_embeddings_they_have_alone(say, sentences) -> None:
    sounds = [say(sentences[0])[: 3 * 16_000], say(sentences[1], voice="rms")[: 5 * 16_000], say("No.")]
    chosen = encoders.builtin()
    for together, alone in zip(chosen.embed_all(sounds), map(chosen.embed, sounds), strict=True):
        assert together == pytest.approx(alone, abs=1e-5)
    assert chosen.embed_all([]) == []
