"""Tables as people send them, good and bad: what is read, and what each mistake is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.batches import errors, tables

SRT = """1
00:00:01,000 --> 00:00:03,000
The first of <i>three</i>.

2
00:00:02,500 --> 00:00:04,000
It begins too early.

3
00:00:09,000 --> 00:00:08,000
It ends before it begins.

4
00:00:01,500 --> 00:00:02,000
It goes back.
"""


def test_a_csv_is_read_with_its_columns_and_each_mistake_is_named() -> None:
    data = (
        "\ufeffText;File;Seed;Pause;Chapter;Notes\r\n"
        "Hello there.;greeting;7;1,5;One;ignored\r\n"
        ";;;;;\r\n"
        '"Two lines\nin a cell.";;;;;\r\n'
        "Next.;greeting;-1;99;Two;\r\n"
        "???;../../etc;;;;\r\n"
        "مرحبا بالعالم 🙂;;;;;\r\n"
    ).encode()
    table = tables.parse(data, "csv")
    first, second, third, fourth, fifth = table.rows
    assert (first.text, first.file, first.seed, first.pause_ms, first.chapter) == (
        "Hello there.", "greeting", 7, 1500, "One",
    )  # fmt: skip
    assert second.text == "Two lines in a cell."
    assert [one.code for one in third.problems] == ["seed_invalid", "pause_invalid", "file_twice"]
    assert [one.code for one in fourth.problems] == ["file_invalid", "text_invalid"]
    assert (fifth.text, fifth.problems) == ("مرحبا بالعالم 🙂", ())
    assert table.ignored == ("notes",)
    assert [row.number for row in table.good] == [1, 2, 5]


def test_subtitles_keep_their_times_and_say_which_do_not_fit() -> None:
    rows = tables.parse(SRT.encode(), "srt").rows
    assert [(row.starts_ms, row.ends_ms) for row in rows[:2]] == [(1000, 3000), (2500, 4000)]
    assert rows[0].text == "The first of three."
    assert [[(one.code, one.stops) for one in row.problems] for row in rows] == [
        [], [("time_overlaps", False)], [("time_backwards", True)], [("time_backwards", True)],
    ]  # fmt: skip


def test_plain_text_has_a_line_a_line_and_headings_begin_chapters() -> None:
    rows = tables.parse(b"# One\nFirst.\n\nSecond.\r\n# Two\nThird.\n", "text").rows
    assert [(row.text, row.chapter) for row in rows] == [("First.", "One"), ("Second.", ""), ("Third.", "Two")]


LONG_RUNS = [b"\n" * 500_000, b"1\n" * 250_000, b"1" * 500_000, b"00:00:01,000 --> " * 29_000, b"00:00:01,000" * 40_000]


@pytest.mark.parametrize(
    ("data", "source", "error"),
    [
        (b"", "csv", errors.EmptyTable),
        (b" \n\n", "text", errors.EmptyTable),
        (b"text\n", "csv", errors.EmptyTable),
        (b"name\nAda\n", "csv", errors.NoTextColumn),
        (b"a\n" * 100_000, "text", errors.TooManyLines),
        (b"text\n" + b"a\n" * 100_000, "csv", errors.TooManyLines),
        (b"a" * 50_000_000, "text", errors.TableTooLarge),
        ("text\nHello\n".encode("utf-16"), "csv", errors.Utf16Refused),
        ("text\nHello\n".encode("utf-16-le"), "csv", errors.Utf16Refused),
        ("Grüße".encode("latin-1"), "text", errors.EncodingUnknown),
        (b'text\n"never closed\n', "csv", errors.TableInvalid),
        (b"no subtitles at all", "srt", errors.TableInvalid),
        *((data, "srt", errors.TableInvalid) for data in LONG_RUNS),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_by_name(data, source, error) -> None:
    with pytest.raises(error):
        tables.parse(data, source)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)), st.sampled_from(tables.SOURCES))
def test_whatever_is_sent_is_a_table_or_a_named_refusal(data: bytes, source: str) -> None:
    try:
        table = tables.parse(data, source)
    except errors.TableInvalid:
        pass
    else:
        assert [row.number for row in table.rows] == list(range(1, len(table.rows) + 1))
        assert all("\n" not in row.text for row in table.rows)
