from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.errors import CheckpointError, TextError
from cloning.engine.features.bert import Bert, BertConfig, load_prosody, read_vocabulary
from cloning.engine.weights import outline
from tests.cloning.engine.features.mounts import BERT_SETTINGS, ORACLE, SENTENCES, write_bert, write_settings

TEXT = SENTENCES[0]


def test_equals_transformers_third_last_state_repeated_by_phones(tmp_path: Path) -> None:
    write_bert(tmp_path)
    word2ph = [2, 2, 1, 2, 2, 1, 2, 2, 2, 2, 0, 3, 1]
    with np.load(ORACLE, allow_pickle=False) as oracle:
        state = torch.from_numpy(oracle["bert"])[0, 1:-1]
    expected = torch.cat([row.repeat(count, 1) for row, count in zip(state, word2ph, strict=True)]).T
    got = load_prosody(tmp_path)(TEXT, word2ph)
    assert got.shape == (32, sum(word2ph))
    assert torch.allclose(got, expected, atol=1e-5)


def test_bfloat16_stays_close(tmp_path: Path) -> None:
    write_bert(tmp_path)
    full = load_prosody(tmp_path)(TEXT, [1] * len(TEXT))
    narrow = load_prosody(tmp_path, dtype=torch.bfloat16)(TEXT, [1] * len(TEXT))
    assert torch.nn.functional.cosine_similarity(full, narrow, dim=0).min() > 0.99


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_one_token_a_character_as_the_official_tokenizer(tmp_path: Path, number: int) -> None:
    write_bert(tmp_path)
    with np.load(ORACLE, allow_pickle=False) as oracle:
        expected = oracle[f"ids{number}"].tolist()
    assert load_prosody(tmp_path).ids(SENTENCES[number]) == expected
    assert len(expected) == len(SENTENCES[number]) + 2


def test_characters_that_the_official_tokenizer_joins_or_drops_keep_their_place(tmp_path: Path) -> None:
    write_bert(tmp_path)
    prosody = load_prosody(tmp_path)
    assert prosody.ids("好 ab\n12\ud800\u0301")[2:-1] == [1] * 8


def test_old_names_of_norms_and_missing_heads_are_accepted(tmp_path: Path) -> None:
    state = write_bert(tmp_path)
    expected = load_prosody(tmp_path)(TEXT, [1] * len(TEXT))
    old = {
        name.removeprefix("bert.").replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): v
        for name, v in state.items()
        if not name.startswith("cls.")
    }
    old["embeddings.position_ids"] = torch.arange(64)[None]
    torch.save(old, tmp_path / "pytorch_model.bin")
    assert torch.equal(load_prosody(tmp_path)(TEXT, [1] * len(TEXT)), expected)


def test_only_what_the_third_last_state_needs_is_built() -> None:
    shapes = outline(lambda: Bert(BertConfig()))
    assert "encoder.layer.21.output.dense.weight" in shapes
    assert "encoder.layer.22.output.dense.weight" not in shapes
    # RoBERTa-large has 325.5 million with its head: two layers and the head are saved.
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 299_280_384


@pytest.mark.parametrize(
    ("text", "word2ph", "code"),
    [("你好", [2], "bad_alignment"), ("你好", [2, -1], "bad_alignment"), ("好" * 63, [1] * 63, "too_long")],
)
def test_text_that_does_not_fit_is_refused(tmp_path: Path, text: str, word2ph: list[int], code: str) -> None:
    write_bert(tmp_path)
    with pytest.raises(TextError) as refusal:
        load_prosody(tmp_path)(text, word2ph)
    assert refusal.value.code == code


def test_vocabulary_lines_are_ids_whatever_ends_them(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes("[PAD]\r\n\n好\u2028\n".encode())
    assert read_vocabulary(tmp_path / "vocab.txt") == {"[PAD]": 0, "好\u2028": 2}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda folder: (folder / "vocab.txt").write_text("[CLS]\n[SEP]\n"), "bad_vocabulary"),
        (lambda folder: (folder / "vocab.txt").unlink(), "missing_file"),
        (lambda folder: write_settings(folder, BERT_SETTINGS, model_type="albert"), "unsupported_model"),
        (lambda folder: write_settings(folder, BERT_SETTINGS, position_embedding_type="x"), "unsupported_model"),
        (lambda folder: write_settings(folder, BERT_SETTINGS, num_attention_heads=5), "bad_config"),
        (lambda folder: write_settings(folder, BERT_SETTINGS, layer_norm_eps=True), "bad_config"),
        (lambda folder: write_settings(folder, BERT_SETTINGS, vocab_size=41), "wrong_weights"),
    ],
    ids=["marks", "no vocabulary", "albert", "positions", "heads", "epsilon", "size"],
)
def test_a_spoiled_folder_is_refused_by_name(tmp_path: Path, spoil: object, code: str) -> None:
    write_bert(tmp_path)
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(CheckpointError) as refusal:
        load_prosody(tmp_path)
    assert refusal.value.code == code
