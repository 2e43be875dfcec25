import pytest

from cloning.engine.text.english import read
from cloning.engine.text.english_homographs import tag_of


@pytest.mark.parametrize(
    ("text", "word", "readings"),
    [
        ("He will record a new record.", "record", ["R IH0 K AO1 R D", "R EH1 K ER0 D"]),
        ("I read the book yesterday.", "read", ["R EH1 D"]),
        ("Will you read it today?", "read", ["R IY1 D"]),
        ("She has read it.", "read", ["R EH1 D"]),
        ("It's a live show, and we live here.", "live", ["L AY1 V", "L IH1 V"]),
        ("The wind will wind around the tower.", "wind", ["W IH1 N D", "W AY1 N D"]),
        ("I used to use it. They were used.", "used", ["Y UW1 S T", "Y UW1 Z D"]),
        ("I used to use it.", "use", ["Y UW1 Z"]),
        ("Close the door, and stay close to me.", "close", ["K L OW1 Z", "K L OW1 S"]),
        ("We object to the object.", "object", ["AH0 B JH EH1 K T", "AA1 B JH EH0 K T"]),
        ("The singer is present. They present the present.", "present",
         ["P R EH1 Z AH0 N T", "P R IY0 Z EH1 N T", "P R EH1 Z AH0 N T"]),
        ("Students protest the plan at the protest.", "protest", ["P R AH0 T EH1 S T", "P R OW1 T EH2 S T"]),
        ("Lead the way: the lead singer took the lead.", "lead", ["L IY1 D", "L IY1 D", "L IY1 D"]),
        ("A lead pipe is made of lead.", "lead", ["L EH1 D", "L EH1 D"]),
        ("She wound up the clock; the wound healed.", "wound", ["W AW1 N D", "W UW1 N D"]),
        ("It is too complex.", "complex", ["K AA1 M P L EH0 K S"]),
    ],
)  # fmt: skip
def test_neighbours_tell_which_word_is_meant(text: str, word: str, readings: list[str]) -> None:
    found = [" ".join(symbols) for chunk, symbols in read(text).words if chunk.lower() == word]
    assert found == readings


def test_without_a_cue_a_word_is_a_noun() -> None:
    assert tag_of(["record", "sales", "rose"], 0) == "NN"
    assert tag_of(["to", "not", "record"], 2) == "VB"
