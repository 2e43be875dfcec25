"""What all sentences of a set come to."""

from __future__ import annotations

from cloning.engine.evaluate import align
from cloning.engine.evaluate.hearing import recogniser
from cloning.engine.evaluate.listening import Heard, Listener
from cloning.engine.evaluate.measure import Sentence, words
from cloning.engine.evaluate.texts import Item

GIVEN = ("two", "old", "dogs")


def sentence(voice: str | None, source: str | None = None) -> Sentence:
    """A text followed as `voice` and by the source as `source`; None: nobody could follow."""

    def heard(said: str | None) -> Heard:
        followed = None if said is None else align.align(GIVEN, said.split())
        return Heard(align.align(GIVEN, GIVEN), None, 0, None, followed)

    return Sentence(Item("open-01", "open", "Two old dogs.", "Two old dogs."), None, "", 0, heard(voice), heard(source))


def test_a_followed_text_is_whole_when_every_word_was_said_once() -> None:
    rows = [
        sentence("two old dogs", "two old dogs"),
        sentence("two old old dogs", "two old dogs"),
        sentence("two dogs", "old dogs"),
        sentence("two old dogs"),
        sentence(None, "two old dogs"),
    ]
    found = words(rows, Listener(recogniser("en")))["open"]["followed"]
    assert found["voice"]["value"] == 0.5
    assert found["voice"]["count"] == 4
    assert round(found["source"]["value"], 3) == 0.667
    assert round(found["difference"]["value"], 3) == -0.333
    assert found["difference"]["count"] == 3


def test_texts_that_nobody_can_follow_have_no_such_figure() -> None:
    found = words([sentence(None)], Listener(recogniser("en")))["open"]["followed"]
    assert found == {"voice": None, "source": None, "difference": None}
