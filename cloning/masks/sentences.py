"""What is said to measure a mask by: ours, harmless, the same for everybody, and heard by the verifier alone. Pure."""

from typing import Final

KNOWN: Final = {
    "en": "Nobody knew why the green door had been left open all night. A quiet river runs behind the old stone mill.",
    "zh": "没有人知道那扇绿色的门为什么整夜开着。老石磨坊的后面，有一条安静的小河慢慢流过。",
}
"""Said by the voice as it is: what the verifier knows the person by."""
ASKED: Final = {
    "en": "The weather is lovely this morning and the train leaves at nine. "
    "Please bring the long ladder and two buckets of paint.",
    "zh": "今天早上天气很好，火车九点钟出发。请把长梯子和两桶油漆带过来，我们下午要刷墙。",
}
"""Said through each candidate, and once without: some eight seconds, or the verifier is unsure."""


def whole(language: str) -> str:
    """Everything that a clearance to make a mask is for. Raises KeyError for a language that nobody speaks here."""
    return f"{KNOWN[language]}\n{ASKED[language]}"
