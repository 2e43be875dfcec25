"""From a text to facts, and from facts to a verdict. Pure, and the same for the same pack and facts, always."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import re2

from safety.detectors.normalise import Reading, Words, read
from safety.detectors.spans import Hits, Packed, each_once, on_one_ground
from safety.detectors.spans import pack as packed
from safety.policy.errors import RuleFailed
from safety.policy.expressions import Node, World
from safety.policy.facts import CLASSIFIER_PREFIX, Classifier, Facts, Value, complete
from safety.policy.pack import Pack, Rule

MAX_OTHER_SCRIPTS: Final = 0.2
"""Above this share of letters no rule can read, a moderator looks: a pack must not wave through what it cannot see."""

UNCOVERED_RULE: Final = "uncovered-language"
UNCOVERED_CLAUSE: Final = "policy.uncovered-language"
UNCOVERED_SEVERITY: Final = 1
FAILED_CLAUSE: Final = "policy.rule-failed"
FAILED_SEVERITY: Final = 3

Outcome = Literal["allow", "allow_with_label", "ask_owner", "hold", "refuse"]

_NUMBER: Final = re.compile(r"[0-9][0-9]*(?:[ -]?[0-9]+)*")  # begun by one digit: re skips quickly to those
_DIGIT_WORDS: Final = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_DIGIT_SIGNS: Final = "[0-9零〇一二三四五六七八九幺两]"
CODE_DIGITS: Final = range(4, 9)
"""One-time codes have 4 to 8 digits."""


def _in_a_row(digit: str) -> str:
    return f"{digit}(?: ?{digit}){{{CODE_DIGITS.start - 1}}}"


# RE2 reads a text many times faster than re, but cannot look whether a word ends: it finds what is written in signs
# alone, and says where words could stand at all.
_SPELLED_IN_SIGNS: Final = re2.compile(_in_a_row(_DIGIT_SIGNS).encode())
_MAYBE_SPELLED: Final = re2.compile(_in_a_row(f"(?:{_DIGIT_WORDS}|{_DIGIT_SIGNS})").encode())
_SPELLED: Final = re.compile(_in_a_row(f"(?:(?<![a-z])(?:{_DIGIT_WORDS})(?![a-z])|{_DIGIT_SIGNS})"))


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """``rule`` and ``clause`` are empty for "allow". ``severity`` (0 to 3) orders the moderators' queue.

    ``label``: the note an output allowed with a label carries. ``facts``: everything the rules were asked about.
    """

    outcome: Outcome
    rule: str
    clause: str
    pack: str
    pack_sha256: str
    severity: int = 0
    label: str = ""
    facts: Facts = field(default_factory=dict)


def facts_of(
    text: str,
    pack: Pack,
    *,
    language: str,
    known: Mapping[str, Value] | None = None,
    classifiers: Mapping[str, Classifier] | None = None,
    reading: Reading | None = None,
) -> Facts:
    """Every fact about a text: what the pack reads in it, and ``known`` (requester, voice, licence, history, output).

    ``reading``: of this text, where the caller has it already.
    Raises ValueError for a known fact of a wrong name or type, RuleFailed where a feature divides by zero, and what a
    classifier raises: nothing is guessed.
    """
    reading = reading or read(text)
    facts = complete(known or {})
    facts |= _built_in(text, reading, language)
    for name in sorted(pack.classifiers):
        score = float((classifiers or {})[name](text, language))
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"classifier {name} answered {score}")
        facts[CLASSIFIER_PREFIX + name] = score
    worlds = _worlds(reading, pack, facts)
    for name, node in pack.features:
        # Readings differ only where the writing is ambiguous; what any of them says counts.
        facts[name] = max(_value(name, node, world) for world in worlds)
    return facts


def decide(facts: Facts, pack: Pack) -> PolicyVerdict:
    """The verdict of ``pack`` on these facts: of the rules that fire, the strongest."""
    for rule in pack.rules:
        try:
            fired = fires(rule, facts)
        except RuleFailed:
            return _verdict(pack, facts, "refuse", rule.id, FAILED_CLAUSE, FAILED_SEVERITY)
        if fired and rule.outcome in ("hold", "refuse"):
            return _verdict(pack, facts, rule.outcome, rule.id, rule.clause, rule.severity)
        if fired:
            # What nobody can read is held whatever milder rule fires.
            return _uncovered(pack, facts) or _verdict(
                pack, facts, rule.outcome, rule.id, rule.clause, rule.severity, rule.label
            )
    return _uncovered(pack, facts) or _verdict(pack, facts, "allow", "", "", 0)


def fires(rule: Rule, facts: Facts) -> bool:
    """Whether the rule's condition holds. Raises RuleFailed where it has no value."""
    return bool(rule.condition.value(World(facts, {}, {})))


def covered(facts: Facts, pack: Pack) -> bool:
    """Whether the pack's languages cover the text as labelled and as written."""
    share = facts["text.other_scripts"]
    return facts["text.language"] in pack.languages and isinstance(share, float) and share <= MAX_OTHER_SCRIPTS


def primary(language: str) -> str:
    """``en`` of ``en-GB`` and ``en_US``."""
    return language.replace("_", "-").split("-")[0].lower()


def _uncovered(pack: Pack, facts: Facts) -> PolicyVerdict | None:
    if covered(facts, pack):
        return None
    return _verdict(pack, facts, "hold", UNCOVERED_RULE, UNCOVERED_CLAUSE, UNCOVERED_SEVERITY)


def _verdict(
    pack: Pack, facts: Facts, outcome: Outcome, rule: str, clause: str, severity: int, label: str = ""
) -> PolicyVerdict:
    return PolicyVerdict(outcome, rule, clause, pack.label, pack.sha256, severity, label, facts)


def _value(name: str, node: Node, world: World) -> Value:
    value = node.value(world)
    if node.kind == "hits":
        world.places[name.removeprefix("text.")] = value
        return bool(value)
    return value  # type: ignore[no-any-return]


def _worlds(reading: Reading, pack: Pack, facts: Facts) -> list[World]:
    """One for each reading. Features see the facts as they grow: one is computed before those that use it."""
    words = reading.words
    first, *others = pack.lexicon.places(reading)
    lists: dict[tuple[str, str], Packed] = {("terms", name): places for name, places in first.items()}
    for name, pattern in pack.patterns.items():
        if len(found := pattern.find(words)):
            # Matches do not overlap, so they are in order.
            lists["patterns", name] = each_once(packed(words.begins[found[:, 0]], words.begins[found[:, 1]]))
    starts = words.begins[words.clauses]
    lists["clauses", ""] = packed(starts, starts)
    kinds: dict[str, dict[str, Hits]] = {"terms": {}, "patterns": {}, "clauses": {}}
    for (kind, name), one in on_one_ground(lists).items():
        kinds[kind][name] = one
    # Another splitting into words: the places of patterns are not its places.
    return [
        World(facts, kinds["terms"], kinds["patterns"], kinds["clauses"][""]),
        *(World(facts, on_one_ground(terms), {}) for terms in others),
    ]


def _built_in(text: str, reading: Reading, language: str) -> Facts:
    numbers = _NUMBER.findall(reading.words.text)
    return {
        "text.language": primary(language),
        "text.characters": len(text),
        "text.numbers": len(numbers),
        "text.code": any(sum(map(str.isdigit, one)) in CODE_DIGITS for one in numbers) or _spelled(reading.words),
        "text.other_scripts": reading.other_scripts,
        "text.disguised": reading.disguised,
    }


def _spelled(words: Words) -> bool:
    """Whether four and more digits are spoken one by one: "four seven one nine", 四七一九."""
    return _SPELLED_IN_SIGNS.search(words.encoded) is not None or (
        _MAYBE_SPELLED.search(words.encoded) is not None and _SPELLED.search(words.text) is not None
    )
