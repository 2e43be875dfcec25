import json
from pathlib import Path

import numpy as np
import pytest

from cloning.engine.errors import CheckpointError
from cloning.engine.text import mandarin
from cloning.engine.text.polyphones import Polyphones, available

pytest.importorskip("onnxruntime")
pytest.importorskip("opencc")
onnx = pytest.importorskip("onnx")

#: Character and Bopomofo. The model knows the first two characters in traditional writing.
_POLYPHONIC = [("長", "ㄔㄤ2"), ("長", "ㄓㄤ3"), ("行", "ㄒㄧㄥ2"), ("行", "ㄏㄤ2"), ("一", "ㄧ1"), ("一", "ㄧ4")]
_BOPOMOFO = {"ㄔㄤ": "chang", "ㄓㄤ": "zhang", "ㄒㄧㄥ": "xing", "ㄏㄤ": "hang", "ㄧ": "yi", "ㄊㄚ": "ta", "ㄋㄩ": "nü"}
_LABELS = sorted({sound for _, sound in _POLYPHONIC})
_CHARACTERS = sorted({character for character, _ in _POLYPHONIC})
_INPUTS = ("input_ids", "token_type_ids", "attention_mask", "char_ids", "position_ids")


def _model(path: Path, *, inputs: tuple[str, ...] = _INPUTS) -> None:
    """A G2PW-like graph: each character has a favourite sound, and at place 1 ([CLS] is 0) its other one."""
    from onnx import TensorProto, helper, numpy_helper

    favourite = np.zeros((len(_CHARACTERS), len(_LABELS)), np.float32)
    for character, sound in (("長", "ㄓㄤ3"), ("行", "ㄏㄤ2"), ("一", "ㄧ4")):
        favourite[_CHARACTERS.index(character), _LABELS.index(sound)] = 1
    first = np.zeros((512, len(_LABELS)), np.float32)
    first[1, [_LABELS.index(sound) for sound in ("ㄔㄤ2", "ㄒㄧㄥ2")]] = 2
    nodes = [
        helper.make_node("Gather", ["favourite", "char_ids"], ["a"]),
        helper.make_node("Gather", ["first", "position_ids"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Mul", ["c", "phoneme_mask"], ["probs"]),
    ]
    values = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64, ["n"] if name in ("char_ids", "position_ids") else ["n", "l"]
        )
        for name in inputs
    ]
    values.append(helper.make_tensor_value_info("phoneme_mask", TensorProto.FLOAT, ["n", len(_LABELS)]))
    graph = helper.make_graph(
        nodes, "tiny", values, [helper.make_tensor_value_info("probs", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(favourite, "favourite"), numpy_helper.from_array(first, "first")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _model(tmp_path / "g2pW.onnx")
    (tmp_path / "POLYPHONIC_CHARS.txt").write_text("\n".join("\t".join(pair) for pair in _POLYPHONIC), "utf-8")
    (tmp_path / "MONOPHONIC_CHARS.txt").write_text("他\tㄊㄚ1\n女\tㄋㄩ3\n", "utf-8")
    (tmp_path / "bopomofo_to_pinyin_wo_tune_dict.json").write_text(json.dumps(_BOPOMOFO), "utf-8")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n長\n行\n他\n銀\n", "utf-8")
    (tmp_path / "config.py").write_text("import os\nuse_mask = True\nuse_char_phoneme = False\nraise SystemExit\n")
    return tmp_path


def test_readings_follow_the_context(folder: Path) -> None:
    model = Polyphones(folder)
    assert model.readings("长他女长,") == ["chang2", "ta1", "nv3", "zhang3", None]
    assert model.readings("他行。") == ["ta1", "hang2", None]
    assert model.readings("...") == [None] * 3


def test_the_mask_leaves_a_character_its_own_sounds(folder: Path) -> None:
    inputs = Polyphones(folder).inputs("銀行長", [1, 2])
    assert inputs["input_ids"].tolist() == [[2, 7, 5, 4, 3]] * 2
    assert inputs["attention_mask"].tolist() == [[1] * 5] * 2
    assert inputs["position_ids"].tolist() == [2, 3]
    assert inputs["char_ids"].tolist() == [_CHARACTERS.index("行"), _CHARACTERS.index("長")]
    allowed = [{_LABELS[at] for at in np.flatnonzero(row)} for row in inputs["phoneme_mask"]]
    assert allowed == [{"ㄒㄧㄥ2", "ㄏㄤ2"}, {"ㄔㄤ2", "ㄓㄤ3"}]
    assert inputs["phoneme_mask"].dtype == np.float32


def test_long_texts_are_seen_through_a_window(folder: Path) -> None:
    model = Polyphones(folder)
    assert model.inputs("他" * 600 + "行", [600])["input_ids"].shape == (1, 512)
    assert model.readings("他" * 600 + "行" + "他" * 600)[600] == "hang2"


def test_mandarin_takes_the_models_readings_before_tone_sandhi(folder: Path) -> None:
    model = Polyphones(folder)
    assert " ".join(mandarin.read("行长", polyphones=model).symbols) == "x ing2 zh ang3"
    # 一 is left to the dictionary and to sandhi.
    assert " ".join(mandarin.read("一行。", polyphones=model).symbols) == "y i4 h ang2 ."


def test_corrections_win_over_the_model(folder: Path) -> None:
    (folder / "polyphonic.rep").write_text("行: ['xing2']\n坏: oops\n", "utf-8")
    model = Polyphones(folder)
    assert model.corrected("湖泊", ["hu2", "bo2"]) == (["hu", "po"], [2, 1])
    assert model.corrected("坏", ["huai4"]) == (["huai"], [4])
    assert model.corrected("他行", ["ta1", "hang2"]) == (["ta", "xing"], [1, 2])
    assert model.corrected("好,", ["hao3", None]) == (["hao", ","], [3, 0])


def test_says_why_the_dictionary_is_used(folder: Path) -> None:
    assert available(folder) is None
    assert "no polyphone model" in str(available(None))
    (folder / "vocab.txt").unlink()
    assert "vocab.txt" in str(available(folder))
    with pytest.raises(CheckpointError, match="polyphones_missing"):
        Polyphones(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("g2pW.onnx", b"not a model"),
        ("POLYPHONIC_CHARS.txt", "長 no tab".encode()),
        ("POLYPHONIC_CHARS.txt", b"\xff\xfe"),
        ("MONOPHONIC_CHARS.txt", b""),
        ("bopomofo_to_pinyin_wo_tune_dict.json", b"[1, 2]"),
        ("bopomofo_to_pinyin_wo_tune_dict.json", b"{"),
        ("vocab.txt", b"no\nspecial\ntokens\n"),
        ("config.py", b"use_mask = ("),
    ],
)
def test_damaged_files_are_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="polyphones_damaged"):
        Polyphones(folder)


def test_a_model_with_other_inputs_is_refused(folder: Path) -> None:
    _model(folder / "g2pW.onnx", inputs=_INPUTS[1:])
    with pytest.raises(CheckpointError, match="other names"):
        Polyphones(folder)


def test_a_table_that_is_too_large_is_not_read(folder: Path) -> None:
    with (folder / "vocab.txt").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(CheckpointError, match="polyphones_too_large"):
        Polyphones(folder)
