"""What every page's template knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from foundation.identity.scopes import BY_ROLE


def page(request: HttpRequest) -> dict[str, Any]:
    """``rehearsal`` puts the banner on every page; ``may`` is the set of scopes that decides the menu."""
    person = getattr(request, "user", None)
    may = BY_ROLE[person.role] if person is not None and person.is_authenticated else frozenset()
    return {"rehearsal": settings.REHEARSAL, "may": may}
