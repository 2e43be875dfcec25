"""What a refusal's code says in the page's language.

The API's words are English, for programs, and answers do not vary by language (`vouch.api.core.middleware`). What
people read on a Chinese page comes by code from ``static/web/problems.zh.js``, which the pages' own scripts load too.
"""

import json
from functools import cache
from pathlib import Path
from typing import Final

from django.utils.translation import get_language

TABLE: Final = Path(__file__).parent / "static/web/problems.zh.js"


@cache
def in_chinese() -> dict[str, list[str]]:
    """Code to ``[what it says]`` or ``[what it says, what to do]``."""
    found: dict[str, list[str]] = json.loads(TABLE.read_text(encoding="utf-8").partition("=")[2].rstrip().rstrip(";"))
    return found


def told(code: str, detail: str) -> str:
    """What happened, for a person: ``detail`` as it is, or in Chinese what its ``code`` says."""
    if (get_language() or "").startswith("zh") and code in in_chinese():
        return " ".join(in_chinese()[code])
    return detail
