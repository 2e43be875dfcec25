"""What may be spoken: one function, one verdict, naming the rule, the clause and the exact pack it rests on."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from safety.detectors.normalise import Reading, read
from safety.errors import TextTooLong
from safety.policy import pack as packs
from safety.policy.deciding import (
    MAX_OTHER_SCRIPTS,
    UNCOVERED_CLAUSE,
    UNCOVERED_RULE,
    UNCOVERED_SEVERITY,
    Outcome,
    PolicyVerdict,
    decide,
    facts_of,
)
from safety.policy.errors import RuleFailed
from safety.policy.facts import Classifier, Value

__all__ = [
    "CORE",
    "MAX_OTHER_SCRIPTS",
    "MAX_TEXT_CHARS",
    "RELEASE_KEY",
    "UNCOVERED_CLAUSE",
    "UNCOVERED_RULE",
    "UNCOVERED_SEVERITY",
    "Outcome",
    "PolicyVerdict",
    "evaluate",
    "live_pack",
    "read_within_bounds",
    "release_key",
]

CORE: Final = Path(__file__).parents[1] / "packs" / "core"
"""The pack that ships with Vouch: English and Chinese, against the usual voice frauds."""
RELEASE_KEY: Final = Path(__file__).parents[1] / "packs" / "release.pub"

MAX_TEXT_CHARS: Final = 20_000
"""Some twenty minutes of speech; longer texts are sent in parts. Bounds what one request can cost."""

FAILED_RULE: Final = "rule-failed"


@lru_cache(maxsize=1)
def live_pack() -> packs.Pack:
    """The shipped pack, loaded once per process; a deployment's own comes from the module `library` beside this one.

    Raises safety.policy.errors.PackInvalid: without a pack nothing is spoken.
    """
    return packs.load(CORE, trusted={"release": release_key()})


def release_key() -> bytes:
    """The public key by which the shipped pack is signed."""
    return bytes.fromhex(RELEASE_KEY.read_text(encoding="ascii").strip())


def read_within_bounds(text: str) -> Reading:
    """The text as it is searched. Raises TextTooLong above ``MAX_TEXT_CHARS``."""
    if len(text) > MAX_TEXT_CHARS:
        raise TextTooLong(f"At most {MAX_TEXT_CHARS} characters are read at once.", max_characters=MAX_TEXT_CHARS)
    return read(text)


def evaluate(
    text: str,
    *,
    language: str,
    known: Mapping[str, Value] | None = None,
    pack: packs.Pack | None = None,
    classifiers: Mapping[str, Classifier] | None = None,
    reading: Reading | None = None,
) -> PolicyVerdict:
    """Judges ``text`` before it is spoken, by the shipped pack unless another is given.

    ``known``: facts beside the text (`safety.policy.facts`), neutral where not given. All rules read every text
    whatever ``language`` says, for a wrong label must not open a door. A language or script that the pack does not
    cover is held: fail closed. Deterministic for one pack and one set of facts. ``reading``: `read_within_bounds` of
    this text, where the caller has it already. Raises TextTooLong above ``MAX_TEXT_CHARS``.
    """
    reading = reading or read_within_bounds(text)
    live = pack or live_pack()
    try:
        facts = facts_of(text, live, language=language, known=known, classifiers=classifiers, reading=reading)
    except RuleFailed:
        return PolicyVerdict("refuse", FAILED_RULE, "policy.rule-failed", live.label, live.sha256, 3)
    return decide(facts, live)
