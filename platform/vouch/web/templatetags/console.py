"""Words for what the database keeps as codes. A code without a word is shown as it is: better odd than wrong."""

from typing import Any, Final

from django import template
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from vouch.web.told import told as told_of

register = template.Library()

WORDS: Final[dict[str, str]] = {
    # voices
    "training": _("Training"),
    "ready": _("Ready"),
    "starter": _("Starter"),
    "one core of an AMD EPYC with AVX-512 and bfloat16": _("one core of an AMD EPYC with AVX-512 and bfloat16"),
    "failed": _("Failed"),
    "destroyed": _("Destroyed"),
    # consents and licences
    "active": _("In force"),
    "withdrawn": _("Withdrawn"),
    "expired": _("Expired"),
    "renewed": _("Renewed"),
    "self": _("live challenge"),
    "representative": _("live challenge, and a representative’s documents"),
    "without_biometrics": _("documents that two moderators approved"),
    "worldwide": _("worldwide"),
    # reviews
    "approved": _("Approved"),
    "refused": _("Refused"),
    "lapsed": _("Time over"),
    "agent": _("Agent or agency under contract"),
    "attorney": _("Power of attorney"),
    "guardian": _("Court-appointed guardian of an adult"),
    "self_standing": _("I am the speaker"),
    "minor": _("A child’s"),
    "deceased": _("A dead person’s"),
    "ended": _("Ended"),
    # orders
    "placed": _("Waiting for payment"),
    "paid": _("Paid"),
    "fulfilled": _("Licensed"),
    "cancelled": _("Cancelled"),
    "refunded": _("Refunded"),
    # cases
    "open": _("Open"),
    "claimed": _("Claimed"),
    "decided": _("Decided"),
    "pending": _("Decided, can be undone"),
    "licence_dispute": _("Licence dispute"),
    "output_drift": _("Output that drifted"),
    "notice": _("Notice"),
    "destroy": _("Destroy the voice"),
    "ban": _("Ban the person"),
    "block": _("Blocked"),
    "pause": _("Paused"),
    "quarantine": _("Withdrawn"),
    "forbid": _("Forbidden"),
    "end": _("Ended"),
    "upheld": _("The decision stands"),
    "overturned": _("Reversed"),
    "licence": _("Licence"),
    "estate": _("Estate of the person"),
    "rights_holder": _("Holder of the rights"),
    "policy_hold": _("Held text"),
    "report": _("Report"),
    "voice_match": _("Voice resembles another"),
    "protected": _("Protected voice"),
    "enrolled": _("Enrolled voice"),
    "allow": _("Allow"),
    "refuse": _("Refuse"),
    "restrict": _("Restrict"),
    "dismiss": _("Dismiss"),
    # recordings
    "challenge": _("Live challenge"),
    "trace": _("Trace"),
    "document": _("Document"),
    "received": _("Recording"),
    "live": _("On offer"),
    # traces
    "ours": _("Ours"),
    "unknown_mark": _("Our mark, nothing delivered"),
    "not_found": _("No mark of ours"),
    "inconclusive": _("Unclear"),
    "transplanted": _("Laid on other sound"),
    "never_delivered": _("Never delivered"),
    "revoked": _("Withdrawn from use"),
    "quarantined": _("Withdrawn by a moderator"),
    # stages of a job
    "done": _("Done"),
    "queued": _("Waiting for a worker"),
    "running": _("Running"),
    "prepare": _("Preparing the recordings"),
    "semantic": _("Learning how you read"),
    "acoustic": _("Learning how you sound"),
    # uses
    "own_use": _("I use it myself"),
    "licence_to_others": _("Licence to others"),
    "cross_lingual": _("Languages I did not record"),
    "advertising": _("Advertising"),
    "political": _("Political speech"),
    "adult": _("Adult content"),
    "singing": _("Singing"),
    "voice_mask": _("Live voice mask"),
    # moods
    "excited": _("Excited"),
    "gentle": _("Gentle"),
    "lazy": _("Lazy"),
    "serious": _("Serious"),
    # languages
    "en": _("English"),
    "zh": _("Chinese"),
    # subjects
    "person": _("Person"),
    "voice": _("Voice"),
    "output": _("Output"),
    "text": _("Text"),
}


@register.filter
def word(code: str) -> str:
    """The word for a code, in the page's language."""
    found = WORDS.get(str(code))
    return gettext(found) if found else str(code)


SCOPES: Final[dict[str, str]] = {
    "consent:read": _("See my consents"),
    "consent:write": _("Give, renew and withdraw consents"),
    "voice:read": _("See my voices"),
    "voice:write": _("Train voices"),
    "speak": _("Speak in voices I may use"),
    "trace": _("Trace recordings"),
    "market:read": _("See the market and my orders"),
    "market:write": _("Offer and order licences"),
    "report": _("Report something"),
}


@register.filter
def scope_word(scope: str) -> str:
    """What a scope allows, in the page's language; the scope itself where there are no words."""
    found = SCOPES.get(scope)
    return gettext(found) if found else scope


@register.filter
def allowed(uses: dict[str, bool]) -> list[str]:
    """The words of the uses that are allowed."""
    return [word(use) for use, yes in uses.items() if yes is True]


@register.filter
def words(codes: list[str]) -> list[str]:
    return [word(code) for code in codes]


@register.filter
def minor(amount: int, currency: str) -> str:
    """``1250|minor:"EUR"`` → ``12.50 EUR``. The yen has no smaller unit."""
    if currency == "JPY":
        return f"{amount} {currency}"
    whole, part = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole}.{part:02d} {currency}"


@register.filter
def basis_points(share: int) -> str:
    """``1250`` → ``12.5 %``."""
    return f"{share / 100:.2f}".rstrip("0").rstrip(".") + " %"


@register.filter
def duration(seconds: int) -> str:
    """``75`` → ``75 s``, ``1500`` → ``25 min``, ``9000`` → ``2.5 h``."""
    if seconds < 120:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@register.filter
def told(job: Any) -> str:
    """What a job that ended badly says, in the page's language."""
    return told_of(job.error_code, job.error_detail)


@register.filter
def countdown(seconds: int) -> str:
    """``93784`` → ``26 h 03 min``: what the page shows before its module counts on."""
    hours, rest = divmod(max(0, int(seconds)), 3600)
    return f"{hours} h {rest // 60:02d} min"


@register.filter
def days(choices: str) -> list[int]:
    """``"7 30"|days`` → ``[7, 30]``: the periods a page offers."""
    return [int(one) for one in choices.split()]


@register.filter
def percent(share: float | None) -> str:
    """``0.25`` → ``25.0 %``; a dash where there is nothing to divide by."""
    return "–" if share is None else f"{100 * share:.1f} %"
