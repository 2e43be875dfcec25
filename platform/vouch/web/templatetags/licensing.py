"""A licence's clauses in words, in the page's language."""

from collections.abc import Mapping
from typing import Any, Final

from django import template
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_noop as _

from consent.scopes import CHANNELS, Scope, parse
from marketplace.models import Listing
from vouch.web.templatetags.console import word

register = template.Library()

WORDS: Final[dict[str, str]] = {
    # channels
    "private": _("Private"),
    "online": _("Online"),
    "social": _("Social media"),
    "character": _("1,000 characters"),
    "second": _("a second of speech"),
    "month": _("a month of 30 days"),
    "share": _("a share of declared revenue"),
    "podcast": _("Podcast"),
    "audiobook": _("Audiobook"),
    "game": _("Game"),
    "app": _("App"),
    "telephony": _("Telephone"),
    "broadcast": _("Broadcast"),
    "cinema": _("Cinema"),
    # topics
    "money": _("Money"),
    "politics": _("Politics"),
    "medical": _("Medicine"),
    "legal": _("Law"),
    "contracts": _("Contracts"),
    # whose word a text needs
    "standard": _("None: the usual policy is enough"),
    "sensitive": _("Sensitive texts: money, politics, medicine, law, contracts"),
    "every": _("Every text"),
    # after the end
    "keep": _("may stay published"),
    "relabel": _("may stay with a note that the licence ended"),
    "take_down": _("are revoked"),
    # reviews of offers, and offers of terms
    "unlisted": _("Not in the shop"),
    "waiting": _("Waits for a review"),
    "published": _("In the shop"),
    "turned_down": _("Turned down"),
    "countered": _("Countered"),
    "signed": _("Signed by both"),
    "declined": _("Declined"),
}


@register.filter
def clause_word(code: str) -> str:
    """The word for a code of a licence, in the page's language."""
    found = WORDS.get(str(code))
    return gettext(found) if found else word(code)


@register.filter
def status_place(output: Any) -> dict[str, int]:
    """Where the output's bit stands in the status lists; a place that no list has for one from before there were any,
    so that a player asks in vain and plays nothing."""
    place = output.provenance.get("statement", {}).get("status")
    return place if isinstance(place, dict) else {"list": 0, "index": 0}


@register.filter
def offer_clauses(listing: Listing) -> list[tuple[str, str]]:
    """What a licence of this offer covers."""
    raw = {**listing.scope.get("terms", {}), "languages": listing.scope["languages"]}
    return [(gettext("Text"), listing.scope.get("text", "VL-STANDARD-1")), *clauses(raw)]


def clauses(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The clauses of a scope in JSON, as pairs of name and value."""
    scope: Scope = parse(raw)
    found = [
        (gettext("Languages"), _listed(scope.languages) if scope.languages is not None else gettext("as the consent")),
        (gettext("Channels"), _listed(scope.channels or frozenset(CHANNELS))),
        (gettext("Territory"), ", ".join(sorted(scope.territory)) if scope.territory else gettext("as the consent")),
        (gettext("Special uses"), _listed(scope.uses) if scope.uses is not None else gettext("as the consent")),
    ]
    if scope.blocked:
        found.append((gettext("No texts about"), _listed(scope.blocked)))
    if scope.moderation != "standard":
        found.append((gettext("The owner reads first"), clause_word(scope.moderation)))
    if scope.attribution:
        found.append((gettext("Credit"), scope.attribution))
    for name, value in (
        (gettext("Seconds"), scope.caps.seconds),
        (gettext("Outputs"), scope.caps.outputs),
        (gettext("Seats"), scope.caps.seats),
    ):
        if value is not None:
            found.append((name, f"{value:,}".replace(",", " ")))
    days = ngettext("%(n)s day", "%(n)s days", scope.notice_days) % {"n": scope.notice_days}
    found.append((gettext("Notice"), days if scope.notice_days else gettext("none: it can end at once")))
    found.append((gettext("Recordings after the end"), clause_word(scope.survival)))
    if scope.exclusive:
        found.append((gettext("Exclusive"), gettext("no other licence while it lasts")))
    return found


def _listed(values: frozenset[str]) -> str:
    return ", ".join(clause_word(one) for one in sorted(values)) if values else gettext("none")
