"""The past under another pack: which decisions would change, for whom, and what the moderators would have to read.

A decision is replayed from its facts. Where the two packs read texts alike that is all there is to it; where they do
not, the text itself is read again while it may be, and a decision whose text is gone is counted as not replayed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from safety.policy import library
from safety.policy.deciding import PolicyVerdict, decide, facts_of
from safety.policy.decisions import words_of
from safety.policy.errors import RuleFailed
from safety.policy.facts import CONTEXT, Facts
from safety.policy.models import PolicyDecision, Stage
from safety.policy.pack import Pack

AGES: Final = ((1, "under a day"), (7, "under a week"), (30, "under a month"), (365, "under a year"))
OLD: Final = "a year and more"
HELD: Final = "hold"
SHOWN: Final = 20
"""Changed decisions the report names, by id."""


@dataclass(slots=True)
class Report:
    """Counts of a replay. Keys of ``changes``: (then, now); the other tables count changed decisions by their key.

    ``queue``: cases opened a day, by day: (then, now). ``unread``: decisions whose text was needed and is gone.
    """

    replayed: int = 0
    unread: int = 0
    changed: int = 0
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_rule: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_language: Counter[str] = field(default_factory=Counter)
    by_age: Counter[str] = field(default_factory=Counter)
    queue: dict[str, list[int]] = field(default_factory=dict)
    examples: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, decision: PolicyDecision, then: str, rule_then: str, found: PolicyVerdict) -> None:
        self.replayed += 1
        day = self.queue.setdefault(decision.at.date().isoformat(), [0, 0])
        day[0] += then == HELD
        day[1] += found.outcome == HELD
        if then == found.outcome:
            return
        self.changed += 1
        self.changes[then, found.outcome] += 1
        self.by_rule[rule_then, found.rule] += 1
        self.by_language[str(decision.facts.get("text.language", ""))] += 1
        self.by_age[age(decision.facts)] += 1
        if len(self.examples) < SHOWN:
            self.examples.append(
                (str(decision.id), f"{then} {rule_then}".strip(), f"{found.outcome} {found.rule}".strip())
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        then = [one[0] for one in self.queue.values()]
        now = [one[1] for one in self.queue.values()]
        days = max(len(self.queue), 1)
        return {
            "replayed": self.replayed,
            "not_replayed": self.unread,
            "changed": self.changed,
            "changes": [[*key, count] for key, count in self.changes.most_common()],
            "by_rule": [[*key, count] for key, count in self.by_rule.most_common()],
            "by_language": dict(self.by_language.most_common()),
            "by_account_age": dict(self.by_age.most_common()),
            "queue_load": {
                "days": len(self.queue),
                "per_day_then": round(sum(then) / days, 2),
                "per_day_now": round(sum(now) / days, 2),
                "busiest_day_then": max(then, default=0),
                "busiest_day_now": max(now, default=0),
            },
            "examples": self.examples,
        }


def simulate(pack: Pack, *, since: datetime, until: datetime | None = None) -> Report:
    """Replays the decisions of a period under ``pack``. Reads only."""
    report = Report()
    for decision in _decisions(since, until):
        facts = _facts_under(decision, pack)
        if facts is None:
            report.unread += 1
            continue
        found = facts if isinstance(facts, PolicyVerdict) else decide(facts, pack)
        report.add(decision, decision.outcome, decision.rule, found)
    return report


def shadowed(*, sha256: str, since: datetime) -> Report:
    """What the pack in the shadow said beside the one in force: the same report, from what was recorded."""
    report = Report()
    for decision in _decisions(since, None).__iter__():
        if decision.shadow_pack_id == sha256:
            found = PolicyVerdict(
                decision.shadow_outcome,  # type: ignore[arg-type]
                decision.shadow_rule,
                "",
                "",
                sha256,
            )
            report.add(decision, decision.outcome, decision.rule, found)
    return report


def rerun(decisions: Iterable[PolicyDecision]) -> Iterator[tuple[PolicyDecision, PolicyVerdict, bool]]:
    """Each decision made again by its own pack: the verdict, and whether it is the same."""
    for decision in decisions:
        found = decide(decision.facts, library.by_hash(decision.pack_id))
        same = (found.outcome, found.rule, found.clause, found.label) == (
            decision.outcome, decision.rule, decision.clause, decision.label
        )  # fmt: skip
        yield decision, found, same


def age(facts: Facts) -> str:
    """The account's age at the time, in the words of the report."""
    days = facts.get("requester.account_age_days", 0)
    return next((name for limit, name in AGES if isinstance(days, int) and days < limit), OLD)


def _facts_under(decision: PolicyDecision, pack: Pack) -> Facts | PolicyVerdict | None:
    """The facts as ``pack`` would have found them; a verdict where it fails on the text; None where that is gone."""
    then = library.by_hash(decision.pack_id)
    if then.reading == pack.reading and then.classifiers == pack.classifiers:
        return dict(decision.facts)
    if decision.stage == Stage.OUTPUT:
        words: str | None = ""
    else:
        words = words_of(decision)
    if words is None:
        return None
    known = {name: value for name, value in decision.facts.items() if name in CONTEXT or name == "text.protected_names"}
    language = str(decision.facts.get("text.language", ""))
    try:
        return facts_of(words, pack, language=language, known=known, classifiers=library.classifiers())
    except RuleFailed:
        return PolicyVerdict("refuse", "rule-failed", "policy.rule-failed", pack.label, pack.sha256, 3)


def _decisions(since: datetime, until: datetime | None) -> Iterator[PolicyDecision]:
    period = Q(at__gte=since) if until is None else Q(at__gte=since, at__lt=until)
    found = PolicyDecision.objects.filter(period).select_related("text").order_by("at", "id")
    return found.iterator(chunk_size=500)
