from cloning.engine.bench.crowd import run


def test_a_group_and_its_voices_one_by_one_are_timed() -> None:
    rows = run("tiny", 2, share=0.02)
    assert [row["together"] for row in rows] == [2, 1]
    assert all(float(row["seconds"]) > 0 for row in rows)
