"""Standard reasons: what a decision most often rests on, in both languages. A moderator picks one or writes their own;
a standard one is shown to the person concerned in their language, whichever it was picked in."""

from dataclasses import dataclass
from typing import Final

from safety.states import CaseKind, Decision

_REQUESTS: Final = frozenset({CaseKind.HOLD})
_THINGS: Final = frozenset({CaseKind.REPORT, CaseKind.TRACE, CaseKind.NOTICE, CaseKind.DRIFT, CaseKind.LICENCE})
_AGAINST: Final = frozenset({Decision.REFUSE, Decision.RESTRICT, Decision.DESTROY, Decision.BAN})


@dataclass(frozen=True, slots=True)
class Reason:
    """One standard reason, and where it is offered."""

    code: str
    kinds: frozenset[CaseKind]
    decisions: frozenset[Decision]
    en: str
    zh: str


STANDARD: Final = (
    Reason(
        "fraud", _REQUESTS, _AGAINST,
        "The text follows a known pattern of fraud: it presses somebody for money, codes or silence in another’s name.",
        "该文本符合已知的诈骗模式:冒用他人名义,逼迫对方给钱、提供验证码或保守秘密。",
    ),
    Reason(
        "impersonation", _REQUESTS | _THINGS, _AGAINST,
        "It speaks as a particular person or office that has not agreed to it.",
        "它以特定个人或机构的口吻说话,而对方并未同意。",
    ),
    Reason(
        "harassment", _REQUESTS | _THINGS, _AGAINST,
        "It threatens, humiliates or harasses somebody.",
        "它威胁、羞辱或骚扰他人。",
    ),
    Reason(
        "no_consent", _THINGS, _AGAINST,
        "It uses a voice without the agreement of the person it belongs to.",
        "它未经本人同意使用了其声音。",
    ),
    Reason(
        "terms", _THINGS, _AGAINST,
        "It is used against the terms of its licence.",
        "其使用方式违反了授权条款。",
    ),
    Reason(
        "context", _REQUESTS, frozenset({Decision.ALLOW}),
        "The context shows that nobody is deceived: fiction, teaching, or news about such frauds.",
        "上下文表明无人受骗:属于虚构作品、教学或有关此类诈骗的报道。",
    ),
    Reason(
        "harmless", _REQUESTS, frozenset({Decision.ALLOW}),
        "The rule matched by chance; the text is harmless.",
        "规则属于偶然命中,该文本无害。",
    ),
    Reason(
        "no_breach", _THINGS, frozenset({Decision.DISMISS}),
        "Looked at and listened to: no breach of the policy was found.",
        "经查看和聆听,未发现违反政策之处。",
    ),
    Reason(
        "other_person", frozenset({CaseKind.VOICE_MATCH}), frozenset({Decision.ALLOW}),
        "Two different people, or one person who may use this voice.",
        "是两个不同的人,或是有权使用该声音的本人。",
    ),
    Reason(
        "same_voice", frozenset({CaseKind.VOICE_MATCH}), _AGAINST,
        "The voice is somebody else’s who has not agreed.",
        "该声音属于另一位未表示同意的人。",
    ),
)  # fmt: skip


def offered(kind: str) -> list[Reason]:
    """The standard reasons for a kind of case, the usual ones first."""
    return [one for one in STANDARD if kind in one.kinds]


def in_language(text: str, language: str) -> str:
    """A standard reason in "en" or "zh", whichever it was picked in; any other text as it is."""
    for one in STANDARD:
        if text in (one.en, one.zh):
            return one.zh if language == "zh" else one.en
    return text
