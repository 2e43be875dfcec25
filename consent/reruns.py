"""Taking a stored decision again: from its evidence, from the log's entry about it, and from the recording while held.

A decision that cannot be repeated from what is stored was changed afterwards, or the code that decides was. Both must
show.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from consent import decisions, examination
from consent.biometrics.evidence import Evidence, EvidenceError
from consent.models import Examination
from consent.states import ExaminationState
from foundation.audit import canonical
from foundation.audit.models import Leaf
from foundation.errors import NotFound

DECIDED: Final = (ExaminationState.DONE.value, ExaminationState.FAILED.value)
LISTENED: Final = ("value", "threshold", "verdict", "reason", "model")
"""What a second listening compares of every step."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """``differences``: what does not agree, a sentence each; none means equal. ``remarks``: what could not be asked."""

    examination_id: UUID
    recorded: tuple[str, str]
    again: tuple[str, str]
    differences: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def decided(examination_id: UUID) -> Examination:
    """An examination that is decided. Raises NotFound."""
    found = Examination.objects.filter(id=examination_id, state__in=DECIDED).first()
    if found is None:
        raise NotFound("There is no decided examination of this id.")
    return found


def rerun(found: Examination) -> Rerun:
    """The decision from its stored evidence, held against what was recorded and against the log. Reads only."""
    recorded = (found.verdict, found.reason)
    differences = _against_log(found)
    try:
        evidence = stored(found)
    except EvidenceError as error:
        return Rerun(found.id, recorded, recorded, [*differences, str(error)])
    if not evidence:
        # What could not be listened to leaves no evidence; it may have ended in anything but a pass.
        if found.verdict == examination.PASS:
            differences.append("it passed without any evidence")
        return Rerun(found.id, recorded, recorded, differences, ["nothing was measured: the reason stands by itself"])
    again = decisions.decide(evidence, rehearsal=found.rehearsal, required=required(found))
    differences += [text for item in evidence if (text := decisions.contradiction(item))]
    if found.case_ref is not None and again.verdict != examination.PASS:
        remark = f"a moderator decided (case {found.case_ref}); the evidence alone says {again.verdict}"
        return Rerun(found.id, recorded, (again.verdict, again.reason), differences, [remark])
    if (again.verdict, again.reason) != recorded:
        differences.append(f"recorded: {_said(recorded)}; from its evidence: {_said((again.verdict, again.reason))}")
    return Rerun(found.id, recorded, (again.verdict, again.reason), differences)


def listen_again(found: Examination) -> list[str]:
    """Examines the recording once more, while it is held, and says what differs of each step. Slow; writes nothing.

    Raises PastDeadline, KeyDestroyed when the recording is not held any more.
    """
    from consent import examiners

    fresh = examiners.examine(found).evidence
    before = {item["kind"]: item for item in found.evidence}
    after = {item["kind"]: item for item in fresh}
    found_now = [
        f"{kind}: measured {'then' if kind in before else 'now'} only" for kind in before.keys() ^ after.keys()
    ]
    for kind in sorted(before.keys() & after.keys()):
        for name in LISTENED:
            if before[kind][name] != after[kind][name]:
                found_now.append(f"{kind}.{name}: {before[kind][name]} then, {after[kind][name]} now")
    return sorted(found_now)


@dataclass(frozen=True, slots=True)
class Flip:
    """A past decision that another threshold would change. ``unknown``: steps that were not taken then."""

    examination_id: UUID
    decided_at: datetime | None
    before: str
    after: str
    by: str
    unknown: tuple[str, ...]


def what_if(
    thresholds: Mapping[str, float], *, since: datetime | None = None, purpose: str | None = None
) -> tuple[list[Flip], Counter[str], int]:
    """Which decisions since then would flip at other thresholds (kind of step to threshold), with counts by reason.

    ``purpose``: ``challenge`` or ``recording`` only. A step that was never taken, because an earlier one decided, is
    unknown: the flip says so instead of calling it a pass. Returns flips, counts, and how many decisions were read.
    """
    rows = Examination.objects.filter(state__in=DECIDED).exclude(evidence=[]).order_by("decided_at", "id")
    if since is not None:
        rows = rows.filter(decided_at__gte=since)
    if purpose is not None:
        rows = rows.filter(**{f"{purpose}__isnull": False})
    flips, counts, read = [], Counter[str](), 0
    for found in rows.iterator(chunk_size=500):
        read += 1
        flip = _flip(found, thresholds)
        if flip is not None:
            flips.append(flip)
            counts[f"{flip.before} -> {flip.after} ({flip.by})"] += 1
    return flips, counts, read


def stored(found: Examination) -> list[Evidence]:
    """The examination's evidence, as it was written. Raises EvidenceError."""
    return [Evidence.from_dict(item) for item in found.evidence]


def required(found: Examination) -> Collection[str]:
    """The steps without which this kind of examination cannot have passed."""
    if found.recording is None:
        return decisions.CHALLENGE_STEPS
    # Where two moderators stand for the speaker, there is no live voice to compare with.
    compared = found.recording.challenge_id is not None
    return [kind for kind in decisions.RECORDING_STEPS if compared or kind != "speaker_windows"]


def _flip(found: Examination, thresholds: Mapping[str, float]) -> Flip | None:
    try:
        evidence = stored(found)
    except EvidenceError:
        return None
    other = [decisions.at(item, thresholds[item.kind]) if item.kind in thresholds else item for item in evidence]
    before = decisions.decide(evidence, rehearsal=found.rehearsal)
    after = decisions.decide(other, rehearsal=found.rehearsal)
    if before.verdict == after.verdict:
        return None
    unknown = tuple(_missing(other, required(found))) if after.verdict == examination.PASS else ()
    outcome = "goes on" if unknown else after.verdict
    return Flip(found.id, found.decided_at, before.verdict, outcome, after.by or before.by, unknown)


def _missing(evidence: Iterable[Evidence], kinds: Collection[str]) -> list[str]:
    taken = {item.kind for item in evidence}
    return [kind for kind in kinds if kind not in taken]


def _against_log(found: Examination) -> list[str]:
    leaf = None if found.leaf_index is None else Leaf.objects.filter(index=found.leaf_index).first()
    if leaf is None:
        return ["the log has no entry for it"]
    body: dict[str, Any] = canonical.decode(bytes(leaf.body))
    said = body["data"]
    wanted = {
        "examination": str(found.id),
        "verdict": found.verdict,
        "reason": found.reason,
        "evidence": examination.evidence_digest(found.evidence),
    }
    return [
        f"the log's entry {leaf.index} says another {name}: {said.get(name)!r} there, {value!r} stored"
        for name, value in wanted.items()
        if said.get(name) != value
    ]


def _said(found: tuple[str, str]) -> str:
    return f"{found[0]} ({found[1]})"
