"""The desk's pages. Their modules in ``static/web`` act through the API, with the same rights."""

import time
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from consent import selectors as consents
from foundation.clock import now
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor
from safety import appeals, desk, exposure, guards, metrics, notices, quality, reasons, statements, views_log
from safety.models import CLAUSE_CHARS, REASON_CHARS, Case, Exposure
from safety.notices import STANDINGS
from safety.rulings import MAX_BULK
from safety.states import CaseKind, CaseState, Decision, SubjectKind, decisions_for, is_irreversible
from vouch.desk import evidence
from vouch.desk.stakes import stakes, stakes_of
from vouch.web.access import actor_of, needs
from vouch.web.charts import columns, rows

KEYS: Final = {
    Decision.ALLOW: "a",
    Decision.REFUSE: "x",
    Decision.RESTRICT: "r",
    Decision.DISMISS: "d",
    Decision.DESTROY: "D",
    Decision.BAN: "B",
}
"""One key a decision; what cannot be taken back needs the shift key as well."""
COUNTED_FOR: Final = 5
"""Seconds the counts over the queue are shown before they are counted again: of 100 000 waiting cases nobody misses
the last one, and counting is the one query here that looks at all of them. The page of cases itself is never old."""
REVIEWS: Final = 20
BULK_DECISIONS: Final = (Decision.ALLOW, Decision.REFUSE, Decision.RESTRICT, Decision.DISMISS)


@require_safe
@needs("moderate")
def desk_home(request: HttpRequest) -> HttpResponse:
    """The queues. Auditors and operators find what they may read on their home page."""
    actor = actor_of(request)
    kind = request.GET.get("kind") if request.GET.get("kind") in CaseKind.values else None
    severity = {"1": 1, "2": 2, "3": 3}.get(request.GET.get("severity", ""))
    try:
        page = desk.page(actor=actor, kind=kind, severity=severity, after=request.GET.get("after", "")[:200])
    except Refused as error:
        raise NotFound(error.detail) from error
    return render(
        request,
        "web/desk.html",
        {
            "queues": _queues(actor),
            "counts": desk.counts(actor=actor),
            "page": page,
            "kind": kind,
            "severity": severity,
            "seconds": desk.seconds_wanted(actor=actor)[:REVIEWS],
            "reviews": consents.review_queue(actor=actor)[:REVIEWS],
            "held": desk.held_by(actor=actor)[:REVIEWS],
            "bulk_decisions": BULK_DECISIONS,
            "max_bulk": MAX_BULK,
            "reason_chars": REASON_CHARS,
            "clause_chars": CLAUSE_CHARS,
            **_shift(actor),
        },
    )


@require_safe
@needs("desk:read")
def case(request: HttpRequest, case_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    found = views_log.case_to_show(actor=actor, case_id=case_id)
    acts = "moderate" in actor.scopes
    if acts:
        # Notes and reports are not for whoever has a stake in the case, moderator or not.
        guards.refuse_own(found, guards.moderator(actor), stakes_of(found))
    claim_runs = found.claimed_until is not None and found.claimed_until > now()
    ruling = desk.ruling_now(found)
    mine = acts and found.state == CaseState.CLAIMED and claim_runs and found.claimed_by_id == request.user.pk
    return render(
        request,
        "web/case.html",
        {
            "case": found,
            "reports": found.reports.order_by("created_at")[: desk.PAGE],
            "around": desk.around(found),
            "evidence": evidence.of(found),
            "ruling": ruling,
            "may_second": ruling is not None
            and ruling.state == "second"
            and "desk:quality" in actor.scopes
            and ruling.made_by_id != request.user.pk,
            "may_reverse": "desk:quality" in actor.scopes and found.state == CaseState.DECIDED,
            "acts": acts,
            "now": now(),
            "mine": mine,
            "reviewer": metrics.pseudonym(found.decided_by_id),
            **_choices(found),
            **(_shift(actor) if acts else {}),
        },
    )


@require_safe
@needs("moderate")
def check(request: HttpRequest, check_id: UUID) -> HttpResponse:
    """A decided case shown as if it were new: the same page without what would give the answer away."""
    actor = actor_of(request)
    found = quality.check_for(actor=actor, check_id=check_id)
    views_log.viewed(actor=actor, subject=f"case:{found.case_id}", what="check")
    return render(
        request,
        "web/case.html",
        {"case": found.case, "check": found, "acts": True, "mine": True, **_choices(found.case), **_shift(actor)},
    )


@require_safe
@needs("desk:read")
def archive(request: HttpRequest) -> HttpResponse:
    try:
        cases, after = desk.closed(actor=actor_of(request), after=request.GET.get("after", "")[:200])
    except Refused as error:
        raise NotFound(error.detail) from error
    listed = [(one, metrics.pseudonym(one.decided_by_id)) for one in cases]
    may_open = bool({"moderate", "desk:audit"} & actor_of(request).scopes)
    return render(request, "web/desk_archive.html", {"cases": listed, "after": after, "may_open": may_open})


@require_safe
@needs("desk:read")
def figures(request: HttpRequest) -> HttpResponse:
    days = {"7": 7, "90": 90, "365": 365}.get(request.GET.get("days", ""), metrics.DAYS)
    found = metrics.overview(actor=actor_of(request), days=days)
    return render(
        request,
        "web/desk_figures.html",
        {
            "figures": found,
            "days": days,
            "by_day": columns(found["by_day"]),
            "waiting": rows(list(found["waiting"].items())),
            "by_decision": rows(list(found["by_decision"].items())),
            "rules": rows([(one["rule"], one["precision"] or 0) for one in found["rules"]], whole=1),
            "budget": (exposure.SEVERE_A_DAY, exposure.SECONDS_A_DAY // 60),
        },
    )


@require_safe
@needs("moderate")
def appeal_queue(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    waiting = appeals.queue(actor=actor)[: desk.PAGE]
    found = [one for one in waiting if appeals.may_judge(one, guards.person(actor), stakes_of)]
    return render(request, "web/desk_appeals.html", {"appeals": found})


@require_safe
@needs("moderate")
def appeal(request: HttpRequest, appeal_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    found = appeals.appeal_for(actor=actor, appeal_id=appeal_id, stakes=stakes_of)
    views_log.viewed(actor=actor, subject=f"appeal:{found.id}", what="appeal")
    return render(
        request,
        "web/desk_appeal.html",
        {
            "appeal": found,
            "case": found.statement.case,
            "words": statements.words(found.statement, language=_language()),
            "messages": found.messages.order_by("created_at"),
            "may_decide": appeals.may_judge(found, guards.person(actor), stakes_of),
            "reason_chars": REASON_CHARS,
        },
    )


@require_safe
@needs("moderate")
def notice_queue(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    waiting = notices.queue(actor=actor)[: desk.PAGE]
    found = [one for one in waiting if actor.person_id not in stakes(one.subject_kind, one.subject_ref)]
    for one in found:
        views_log.viewed(actor=actor, subject=f"notice:{one.id}", what="notice")
    return render(request, "web/desk_notices.html", {"notices": found, "reason_chars": REASON_CHARS, "now": now()})


@require_safe
@never_cache
def new_notice(request: HttpRequest) -> HttpResponse:
    """The public form. A trace of a found recording links here with the output it named."""
    context = {"standings": STANDINGS, "output": request.GET.get("output", "")[:64], "reason_chars": REASON_CHARS}
    return render(request, "web/notice.html", context)


@require_safe
@needs("report")
def report(request: HttpRequest) -> HttpResponse:
    subjects = [SubjectKind.OUTPUT, SubjectKind.VOICE, SubjectKind.LICENCE, SubjectKind.PERSON]
    context = {"subjects": subjects, "reason_chars": REASON_CHARS, "ref": request.GET.get("ref", "")[:64]}
    return render(request, "web/report.html", {**context, "kind": request.GET.get("kind", "")})


@require_safe
@needs("report")
def reasons_page(request: HttpRequest) -> HttpResponse:
    """Decisions against me: why, and what I can do about them."""
    found = statements.statements_of(actor=actor_of(request)).prefetch_related("appeal__messages")[: desk.PAGE]
    listed = [
        {
            "statement": one,
            "words": statements.words(one, language=_language()),
            "appeal": getattr(one, "appeal", None),
            "open": one.appeal_until > now(),
            "noticed": one.facts["source"] == "article_16_notice",
        }
        for one in found
    ]
    return render(request, "web/reasons.html", {"listed": listed, "reason_chars": REASON_CHARS})


_counted: tuple[float, list[desk.Queue]] | None = None


def _queues(actor: Actor) -> list[desk.Queue]:
    """The queues with their counts, as this process counted them less than `COUNTED_FOR` ago."""
    global _counted
    if _counted is None or not 0 <= time.monotonic() - _counted[0] < COUNTED_FOR:
        _counted = time.monotonic(), desk.queues(actor=actor)
    return _counted[1]


def _choices(found: Case) -> dict[str, Any]:
    """The decisions with their keys, and the standard reasons with theirs."""
    known = decisions_for(
        kind=found.kind, subject_kind=found.subject_kind, has_requester=found.requester_id is not None
    )
    chinese = _language() == "zh"
    offered = [
        {"n": n, "text": one.zh if chinese else one.en, "for": " ".join(sorted(one.decisions))}
        for n, one in enumerate(reasons.offered(found.kind), start=1)
    ]
    return {
        "clause_says": desk.clause_of(found),
        "decisions": [(one, KEYS[Decision(one)], is_irreversible(one, found.subject_kind)) for one in known],
        "reasons": offered,
        "reason_chars": REASON_CHARS,
        "clause_chars": CLAUSE_CHARS,
    }


def _shift(actor: Actor) -> dict[str, Any]:
    """What follows a moderator from page to page: what they can still undo, and how they are doing."""
    row: Exposure = exposure.today(guards.person(actor))
    return {
        "now": now(),
        "undoable": list(desk.my_waiting(actor=actor)),
        "exposure": row,
        "spent": exposure.is_spent(row),
        "wants_break": exposure.wants_break(row),
        "on_break": row.on_break_until is not None and row.on_break_until > now(),
        "severe_a_day": exposure.SEVERE_A_DAY,
        "minutes_heard": row.seconds_heard // 60,
        "minutes_a_day": exposure.SECONDS_A_DAY // 60,
    }


def _language() -> str:
    return "zh" if (get_language() or "").startswith("zh") else "en"
