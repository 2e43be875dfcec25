"""The terms of a consent: which uses, languages and countries, for how long. One check for giving and renewing."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from consent.errors import ConsentInvalid
from consent.models import MAX_TERM_DAYS
from consent.prompts import LANGUAGES
from consent.uses import USES

WORLDWIDE: Final = "worldwide"
MAX_TERRITORY: Final = 50
"""Countries a consent may name (ISO 3166-1 alpha-2, separated by commas)."""


def checked(uses: Mapping[str, bool], languages: Collection[str], term_days: int, territory: str) -> dict[str, Any]:
    """``uses`` with every flag written out, sorted ``languages``, ``territory``. Raises ConsentInvalid."""
    unknown = set(uses) - set(USES)
    if unknown or not all(isinstance(value, bool) for value in uses.values()):
        raise ConsentInvalid(f"Uses are yes or no of: {', '.join(USES)}.")
    if not (uses.get("own_use") or uses.get("licence_to_others")):
        raise ConsentInvalid("A consent allows your own use, licence to others, or both.")
    if not languages or set(languages) - set(LANGUAGES):
        raise ConsentInvalid(f"Languages are one or more of: {', '.join(LANGUAGES)}.")
    if isinstance(term_days, bool) or not 1 <= term_days <= MAX_TERM_DAYS:
        raise ConsentInvalid(f"The term is 1 to {MAX_TERM_DAYS} days.")
    countries = territory.split(",")
    if territory != WORLDWIDE and not (
        len(countries) <= MAX_TERRITORY and all(re.fullmatch("[A-Z]{2}", country) for country in countries)
    ):
        raise ConsentInvalid(f"The territory is '{WORLDWIDE}' or country codes such as 'DE,FR'.")
    return {
        "uses": {use: bool(uses.get(use, False)) for use in USES},
        "languages": sorted(set(languages)),
        "territory": territory,
    }
