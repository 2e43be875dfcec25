"""A removed text is known again after small edits and tricks of writing; other texts are not."""

import uuid

import pytest

from cloning.sketches import SAME_TEXT, likeness, sketch

VOICE = uuid.UUID(int=7)
ENGLISH = "Grandma, I had an accident near the bridge, please send the money today and do not tell anyone about it."
CHINESE = "奶奶，我昨天晚上在桥边出了车祸，请您今天把钱转过来，千万不要告诉爸爸妈妈这件事情。"


def like(one, other):
    return likeness(sketch(one, voice=VOICE), sketch(other, voice=VOICE))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ENGLISH, ENGLISH.replace("today", "tonight")),
        (ENGLISH, ENGLISH.replace("Grandma", "Granny").replace("near the bridge, ", "")),
        (ENGLISH, ENGLISH.upper().replace(" ", "  ").replace("o", "\u043e")),
        (ENGLISH, "\u200b".join(ENGLISH)),
        (CHINESE, CHINESE.replace("奶奶", "外婆")),
        (CHINESE, CHINESE.replace("，", " ").replace("昨天", "今天")),
    ],
)
def test_an_edited_text_is_the_same_text(one, other):
    assert like(one, other) >= SAME_TEXT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ENGLISH, "The weather is lovely this morning, and the train to the coast leaves at nine from platform two."),
        (ENGLISH, "Grandma, I had a lovely day at the lake, and I will send you the pictures tomorrow evening."),
        (CHINESE, "奶奶，我昨天晚上在公园看到了很多花，照片明天发给您，您一定会喜欢的。"),
        ("Yes, yes.", "Yes, yes."),  # too short: its digest alone knows it again
    ],
)
def test_other_texts_are_not(one, other):
    assert like(one, other) < SAME_TEXT


def test_sketches_of_two_voices_say_nothing_to_each_other():
    assert likeness(sketch(ENGLISH, voice=VOICE), sketch(ENGLISH, voice=uuid.UUID(int=8))) < 0.1
