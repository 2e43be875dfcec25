import pytest

from cloning.engine.bench.features import bert_rows, hubert_rows, speaker_rows
from cloning.engine.features.bert import BertConfig
from cloning.engine.features.hubert import HubertConfig

HUBERT = HubertConfig(channels=(32,) * 7, width=48, layers=2, heads=4, inner=96, position_kernel=16, position_groups=4)
BERT = BertConfig(vocabulary=40, positions=64, width=32, layers=5, heads=4, inner=64)


@pytest.mark.parametrize("part", ["hubert", "bert", pytest.param("speaker", marks=pytest.mark.slow)])
def test_every_form_is_timed_beside_the_plain_one_and_computes_the_same(part: str) -> None:
    match part:
        case "hubert":
            rows = hubert_rows(HUBERT, samples=16_000, rounds=1)
        case "bert":
            rows = bert_rows(BERT, characters=6, rounds=1)
        case _:
            rows = speaker_rows(samples=4_000, rounds=1)
    plain, exact, *narrow = rows
    assert (plain["variant"], plain["ratio"]) == ("plain", 1.0)
    assert exact["precision"] == "float32"
    assert exact["max_difference"] < 0.02
    assert [row["cosine"] > 0.99 for row in narrow] == [True] * (part != "speaker")
    for row in rows:
        assert row["ratio"] == row["reference_seconds"] / row["seconds"]
        assert row["peak_memory_mb"] is None or row["peak_memory_mb"] > 0
