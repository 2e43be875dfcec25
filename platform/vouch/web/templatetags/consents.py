"""Sentences that the consent room keeps in two languages, and the length of a term, for the page's reader."""

from django import template
from django.utils.translation import get_language, ngettext

register = template.Library()


@register.filter
def said(sentence: dict[str, str]) -> str:
    """The sentence in the page's language: ``{"en": …, "zh": …}|said``."""
    return sentence["zh" if (get_language() or "").startswith("zh") else "en"]


@register.filter
def refused(uses: dict[str, bool]) -> list[str]:
    """The codes of the uses that are not allowed."""
    return [use for use, yes in uses.items() if yes is not True]


@register.filter
def days(seconds: int) -> str:
    """``93784`` → ``1 day``: what is left of a term, rounded down; below a day in hours."""
    whole = int(seconds) // 86_400
    if whole:
        return ngettext("%(n)d day", "%(n)d days", whole) % {"n": whole}
    hours = int(seconds) // 3_600
    return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
