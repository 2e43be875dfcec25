"""What a rule may ask about: every fact by name, with its type and the value it has where nothing is known.

Rules see facts and nothing else. The pack's own *features* (``text.<name>``) are facts too: they alone read the text.
So a decision that keeps its facts can be made again to the letter when the text is long gone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["bool", "int", "number", "text", "hits"]
Value = bool | int | float | str
Facts = dict[str, Value]
Classifier = Callable[[str, str], float]
"""A deployment's own judge of texts: the text and its language to 0..1."""


@dataclass(frozen=True, slots=True)
class Fact:
    kind: Kind
    neutral: Value
    meaning: str


TEXT: Final[dict[str, Fact]] = {
    "text.language": Fact("text", "", "language as requested, its primary subtag: en, zh"),
    "text.characters": Fact("int", 0, "characters of the text"),
    "text.numbers": Fact("int", 0, "groups of digits"),
    "text.code": Fact("bool", False, "a group of 4 to 8 digits stands alone, or that many digits are spelled out"),
    "text.other_scripts": Fact("number", 0.0, "share (0..1) of letters no rule can read"),
    "text.disguised": Fact("bool", False, "letters of several scripts in one word, or characters that draw nothing"),
    "text.protected_names": Fact("int", 0, "names of protected people in the text"),
}
CONTEXT: Final[dict[str, Fact]] = {
    "requester.account_age_days": Fact("int", 365, "days since the account was made"),
    "requester.strikes": Fact("int", 0, "points of the strikes that count against the person now (`safety.strikes`)"),
    "requester.requests_last_hour": Fact("int", 0, "texts asked for in the last hour"),
    "requester.is_owner": Fact("bool", False, "whether the voice is the requester's own"),
    "voice.age_days": Fact("int", 365, "days since the voice was made"),
    "voice.rehearsal": Fact("bool", False, "whether the voice is a rehearsal's"),
    "licence.held": Fact("bool", False, "whether a licence is the basis"),
    "licence.age_days": Fact("int", 365, "days since the licence began"),
    "licence.characters_left": Fact("int", 0, "characters the licence still covers"),
    "history.allowed_30d": Fact("int", 0, "the requester's texts allowed in 30 days"),
    "history.held_30d": Fact("int", 0, "the requester's texts held in 30 days"),
    "history.refused_30d": Fact("int", 0, "the requester's texts refused in 30 days"),
    "output.spoken": Fact("bool", False, "whether the output exists: the question after synthesis"),
    "output.similarity_to_others": Fact(
        "number", 0.0, "cosine (-1..1) of the output's voice to the nearest enrolled person but its owner"
    ),
    "output.similarity_to_protected": Fact(
        "number", 0.0, "cosine (-1..1) of the output's voice to the nearest protected voice but its owner's"
    ),
    "output.compared": Fact("bool", False, "whether the output was long enough to be compared at all"),
}
BUILT_IN: Final[dict[str, Fact]] = TEXT | CONTEXT
CLASSIFIER_PREFIX: Final = "classifier."


def complete(known: Mapping[str, Value]) -> Facts:
    """``known`` over the neutral value of every built-in fact. Raises ValueError for a fact of a wrong name or type."""
    facts: Facts = {name: fact.neutral for name, fact in BUILT_IN.items()}
    for name, value in known.items():
        fact = BUILT_IN.get(name)
        if fact is not None and not fits(value, fact.kind):
            raise ValueError(f"{name} is {fact.kind}, not {type(value).__name__}")
        if fact is None and not name.startswith(("text.", CLASSIFIER_PREFIX)):
            raise ValueError(f"there is no fact {name}")
        facts[name] = value
    return facts


def fits(value: Value, kind: Kind) -> bool:
    """Whether a value has a kind; a bool is no int, an int is a number."""
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "text":
            return isinstance(value, str)
        case _:
            return False
