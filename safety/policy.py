"""What may be spoken: one function, one verdict, naming the rule, the clause and the exact pack it rests on."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from safety import pack as packs
from safety.detectors.normalise import normalise, share_of_other_scripts
from safety.errors import TextTooLong

CORE: Final = Path(__file__).parent / "packs" / "core"
"""The pack that ships with Vouch: English and Chinese, against the usual voice frauds."""

MAX_TEXT_CHARS: Final = 20_000
"""Some twenty minutes of speech; longer texts are sent in parts. Bounds what one request can cost."""

MAX_OTHER_SCRIPTS: Final = 0.2
"""Above this share of letters no rule can read, a moderator looks: a pack must not wave through what it cannot see."""

UNCOVERED_RULE: Final = "uncovered-language"
UNCOVERED_CLAUSE: Final = "policy.uncovered-language"
UNCOVERED_SEVERITY: Final = 1

Outcome = Literal["allow", "hold", "refuse"]


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """``rule`` and ``clause`` are empty for "allow". ``severity`` (0 to 3) orders the moderators' queue."""

    outcome: Outcome
    rule: str
    clause: str
    pack: str
    pack_sha256: str
    severity: int = 0


@lru_cache(maxsize=1)
def live_pack() -> packs.Pack:
    """The pack in force, loaded once per process. Raises safety.pack.PackInvalid: without a pack nothing is spoken."""
    return packs.load(CORE)


def evaluate(text: str, *, language: str) -> PolicyVerdict:
    """Judges ``text`` before it is spoken.

    All rules read every text whatever ``language`` says, for a wrong label must not open a door. A language or script
    that the pack does not cover is held: fail closed. Deterministic for one pack. Raises TextTooLong above
    ``MAX_TEXT_CHARS``.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise TextTooLong(f"At most {MAX_TEXT_CHARS} characters are read at once.", max_characters=MAX_TEXT_CHARS)
    live = live_pack()
    rule = live.first_match(normalise(text))
    if rule is not None:
        return PolicyVerdict(rule.outcome, rule.id, rule.clause, live.label, live.sha256, rule.severity)
    if _covered(text, language, live):
        return PolicyVerdict("allow", "", "", live.label, live.sha256)
    return PolicyVerdict("hold", UNCOVERED_RULE, UNCOVERED_CLAUSE, live.label, live.sha256, UNCOVERED_SEVERITY)


def _covered(text: str, language: str, live: packs.Pack) -> bool:
    primary = language.replace("_", "-").split("-")[0].lower()
    return primary in live.languages and share_of_other_scripts(text) <= MAX_OTHER_SCRIPTS
