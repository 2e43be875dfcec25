"""Statements of reasons: what a person is told when a decision goes against them (DSA Art. 17), as data and in words.

The data are the fields of the article, named as in the Commission's transparency database where it has a name. The
words are made when they are read, in the reader's language, and say the same.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import guards, reasons, strikes
from safety.models import Case, Ruling, Statement
from safety.states import CaseKind, Decision, SubjectKind

APPEAL_WITHIN: Final = timedelta(days=183)
"""Six months: DSA Art. 20(1)."""

_RESTRICTION: Final = {
    Decision.REFUSE: "visibility_removed",
    Decision.RESTRICT: "service_suspended",
    Decision.DESTROY: "account_content_deleted",
    Decision.BAN: "account_terminated",
}
_SOURCE: Final = {
    CaseKind.HOLD: "own_initiative",
    CaseKind.VOICE_MATCH: "own_initiative",
    CaseKind.TRACE: "own_initiative",
    CaseKind.DRIFT: "own_initiative",
    CaseKind.REPORT: "user_report",
    CaseKind.LICENCE: "user_report",
    CaseKind.NOTICE: "article_16_notice",
}


def give(*, case: Case, ruling: Ruling, person_id: UUID) -> Statement:
    """The statement for a decided case, in the decision's transaction, after its strike.

    A block that strikes have brought about is told with the decision that was one too many: it follows by itself
    (``blocked_until``), where the decision was a person's. The leaf says that a statement was given, not what.
    """
    moment, block = now(), strikes.blocked_until(person_id)
    made = Statement.objects.create(
        case=case,
        person_id=person_id,
        facts={
            "decision": case.decision,
            "restriction": _RESTRICTION[Decision(case.decision)],
            "subject_kind": case.subject_kind,
            "subject_ref": case.subject_ref,
            "scope": "everywhere",
            "from": moment.isoformat(),
            "until": None,
            "facts": ruling.reason,
            "source": _SOURCE[CaseKind(case.kind)],
            "automated_detection": case.kind in (CaseKind.HOLD, CaseKind.VOICE_MATCH, CaseKind.TRACE, CaseKind.DRIFT),
            "automated_decision": False,
            "ground": "terms",
            "clause": case.decision_clause,
            "rule": case.rule,
            "pack": case.pack,
            "second_person": ruling.second_by_id is not None,
            "strike": strikes.points_of(case),
            "blocked_until": block.isoformat() if block is not None else None,
        },
        made_at=moment,
        appeal_until=moment + APPEAL_WITHIN,
    )
    data = {"statement": str(made.id), "decision": case.decision, "clause": case.decision_clause}
    guards.record("statement.given", f"case:{case.id}", Actor.of(ruling.made_by), data)
    return made


def statements_of(*, actor: Actor) -> QuerySet[Statement]:
    """The actor's own statements, newest first."""
    found = Statement.objects.select_related("case", "appeal").filter(person_id=guards.person(actor))
    return found.order_by("-made_at", "id")


def statement_of(*, actor: Actor, statement_id: UUID) -> Statement:
    """One of the actor's own; from now on it counts as read. Raises NotFound."""
    found = statements_of(actor=actor).filter(id=statement_id).first()
    if found is None:
        raise NotFound
    if found.read_at is None:
        found.read_at = now()
        found.save(update_fields=["read_at"])
    return found


_WHAT: Final[dict[str, dict[str, str]]] = {
    "en": {
        Decision.REFUSE: "We do not make the recording you asked for.",
        f"{Decision.RESTRICT}:{SubjectKind.TEXT}": "This text is not spoken here, for anybody.",
        f"{Decision.RESTRICT}:{SubjectKind.PERSON}": "You cannot train voices or have texts spoken for now.",
        f"{Decision.RESTRICT}:{SubjectKind.VOICE}": "Your voice is paused: nothing is spoken in it for now.",
        f"{Decision.RESTRICT}:{SubjectKind.OUTPUT}": "A recording you asked for is withdrawn and not handed out.",
        f"{Decision.RESTRICT}:{SubjectKind.LICENCE}": "Your licence is ended.",
        Decision.DESTROY: "Your voice model is destroyed. It cannot be brought back.",
        Decision.BAN: "You are excluded from training voices and from having texts spoken, for good.",
    },
    "zh": {
        Decision.REFUSE: "我们不会制作您请求的录音。",
        f"{Decision.RESTRICT}:{SubjectKind.TEXT}": "该文本在此处不会为任何人合成。",
        f"{Decision.RESTRICT}:{SubjectKind.PERSON}": "在此限制解除之前,您不能训练声音,也不能合成语音。",
        f"{Decision.RESTRICT}:{SubjectKind.VOICE}": "您的声音已暂停使用:在解除之前不会用它合成任何内容。",
        f"{Decision.RESTRICT}:{SubjectKind.OUTPUT}": "您请求的一段录音已被撤下,不再提供。",
        f"{Decision.RESTRICT}:{SubjectKind.LICENCE}": "您的授权已被终止。",
        Decision.DESTROY: "您的声音模型已被销毁,无法恢复。",
        Decision.BAN: "您被永久禁止训练声音和合成语音。",
    },
}
_SAID: Final[dict[str, dict[str, str]]] = {
    "en": {
        "facts": "What we found: {facts}",
        "ground": "The rule it rests on: clause {clause} of our policy. It applies everywhere and from {from_day} on.",
        "own_initiative": "How it came to us: our own rules stopped it.",
        "user_report": "How it came to us: somebody reported it.",
        "article_16_notice": "How it came to us: by a notice from outside (DSA Art. 16).",
        "detected": "A program found it; a person decided.",
        "decided": "A person decided; no program took part in finding it.",
        "second": "A second person had to agree, and did.",
        "strike": "It counts {points} against you for {days} days.",
        "blocked": "So much counts at once that, by itself, you cannot train voices or have texts spoken until {day}.",
        "redress": "If you think this is wrong, appeal here until {until_day}, at no cost: somebody else decides. "
        "You may also go to a certified out-of-court dispute settlement body (DSA Art. 21), or to a court.",
    },
    "zh": {
        "facts": "我们认定的事实:{facts}",
        "ground": "依据:我们政策的条款 {clause}。适用于所有地区,自 {from_day} 起生效。",
        "own_initiative": "来源:由我们自己的规则发现。",
        "user_report": "来源:有人举报。",
        "article_16_notice": "来源:外部通知(《数字服务法》第16条)。",
        "detected": "由程序发现,由人作出决定。",
        "decided": "由人作出决定,发现过程没有使用程序。",
        "second": "该决定须经第二人同意,且已获同意。",
        "strike": "该决定在 {days} 天内记您 {points} 分。",
        "blocked": "由于同时有效的记分过多,系统自动限制您在 {day} 之前训练声音或合成语音。",
        "redress": "如果您认为有误,可在 {until_day} 之前在此免费申诉,将由另一人裁定。您也可以向经认证的庭外争议解决机构"
        "(《数字服务法》第21条)或法院寻求救济。",
    },
}


def words(statement: Statement, *, language: str) -> list[str]:
    """The statement in plain sentences; ``language`` is "en" or "zh". Raises KeyError for another."""
    facts: dict[str, Any] = statement.facts
    what, said = _WHAT[language], _SAID[language]
    decision = facts["decision"]
    lines = [
        what.get(decision) or what[f"{decision}:{facts['subject_kind']}"],
        said["facts"].format(facts=reasons.in_language(facts["facts"], language)),
        said["ground"].format(clause=facts["clause"], from_day=facts["from"][:10]),
        said[facts["source"]],
        said["detected" if facts["automated_detection"] else "decided"],
    ]
    if facts["second_person"]:
        lines.append(said["second"])
    if facts.get("strike"):
        lines.append(said["strike"].format(points=facts["strike"], days=strikes.STRIKE_LIFE.days))
    if facts.get("blocked_until"):
        lines.append(said["blocked"].format(day=facts["blocked_until"][:10]))
    lines.append(said["redress"].format(until_day=statement.appeal_until.date().isoformat()))
    return lines
