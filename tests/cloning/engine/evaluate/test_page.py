"""The page: everything in it, nothing of a stranger's text runs, and what was not measured is said to be so."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from cloning.engine.evaluate import page, plots

FIGURE = {"value": 0.25, "low": 0.1, "high": 0.4, "count": 20}
BESIDE = {"voice": FIGURE, "source": FIGURE, "difference": FIGURE}
HOSTILE = "<script>alert('x')</script>\"&"


def report() -> dict[str, Any]:
    cosines = {"cosines": [0.8, 0.9], "impostor_cosines": [0.4], "own": FIGURE, "margin": FIGURE}
    voice = {
        "name": "anna",
        "speaker": "anna",
        "held_out": True,
        "about": {"kind": "voice file", "version": "starter"},
        "speed": {"real_time_factor": 0.2, "first_audio_seconds": 0.3, "peak_memory_mb": None, "threads": 1},
        "words": {
            "outcome": "measured",
            "sets": {"open": {"sentences": 1, "words": 2, "word_error": BESIDE, "phone_error": BESIDE}},
        },
        "identity": {"outcome": "measured", "voice": cosines, "source": cosines},
        "prosody": {
            "outcome": "measured",
            **{name: FIGURE for name, _ in page._PROSODY},
            "contours": [{"id": "open-01", "text": "Hi.", "voice": [1.0, 2.0, None, 3.0, 4.0], "source": [0.0] * 5}],
            "durations": [[0.2, 0.3], [0.5, 0.4]],
        },
        "sentences": [
            {
                "id": "open-01",
                "text": HOSTILE,
                "doubtful": 1,
                "voice": [["wrong", "given", HOSTILE], ["missing", "lost", None], ["extra", None, "more"]],
                "source": [["right", "given", "given"]],
            },
            {"id": "open-02", "text": "No.", "doubtful": 0, "refused": "silence"},
        ],
        "goals": [
            {"goal": "one", "value": 0.1, "limit": 0.2, "at_most": True, "reached": True},
            {"goal": "two", "value": None, "limit": 0.2, "at_most": False, "reached": None},
        ],
    }
    return {
        "schema": "vouch-evaluation/1", "command": "evaluate " + HOSTILE, "versions": {"python": "3"},
        "machine": {"processor": "p"}, "settings": {"seed": 0}, "voices": [voice],
    }  # fmt: skip


class Reader(HTMLParser):
    """Collects tags and sees to it that every one is closed."""

    EMPTY = {"meta", "line", "circle", "polyline"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_the_page_is_whole_alone_and_quiet() -> None:
    players = {"anna": [page.Player("open-01", "Hi.", b"mp3 of the voice", b"mp3 of the source")]}
    html = page.render(report(), players)
    reader = read(html)
    tags = [tag for tag, _ in reader.seen]
    assert "script" not in tags
    assert HOSTILE not in html
    for _, attributes in reader.seen:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:audio/", "#"))
    assert tags.count("audio") == 2
    assert all(attributes.get("aria-label") for tag, attributes in reader.seen if tag in ("audio", "svg"))
    # The label stands before the sound of the voice.
    assert html.index("AI-generated speech") < html.index("<audio")


def test_each_word_shows_what_became_of_it() -> None:
    html = page.render(report(), {})
    assert '<span class="missing">[lost]</span>' in html
    assert '<span class="extra">+more</span>' in html
    assert re.search(r'<span class="wrong">&lt;script.*?<s>given</s></span>', html)
    assert "refused: silence" in html


@pytest.mark.parametrize("part", ["words", "identity", "prosody"])
def test_what_was_not_measured_is_said_to_be_so(part: str) -> None:
    found = copy.deepcopy(report())
    found["voices"][0][part] = {"outcome": "no_recogniser", "why": "nobody listens"}
    html = page.render(found, {})
    read(html)
    assert "Not measured (no_recogniser): nobody listens" in html


def test_mandarin_shows_its_tones() -> None:
    found = copy.deepcopy(report())
    found["voices"][0]["words"]["sets"] = {
        "mandarin": {
            "sentences": 1, "words": 2, "word_error": BESIDE, "toneless_error": BESIDE,
            "tones_right": {"voice": None, "source": FIGURE, "difference": None},
        }
    }  # fmt: skip
    html = page.render(found, {})
    read(html)
    assert "tones ignored" in html
    assert "tones right" in html


def test_intervals_stand_where_their_values_say() -> None:
    svg = plots.intervals("t", [("row", FIGURE, None)], most=0.5)
    width = plots.WIDTH - plots.LEFT - plots.RIGHT
    assert f'cx="{plots.LEFT + width * 0.5:.1f}"' in svg
    assert f'x1="{plots.LEFT + width * 0.2:.1f}" x2="{plots.LEFT + width * 0.8:.1f}"' in svg


def test_a_gap_breaks_a_contour() -> None:
    svg = plots.contours("t", [("voice", [1.0, 2.0, None, 3.0, 4.0, None, 5.0])], 50)
    assert svg.count("<polyline") == 2
