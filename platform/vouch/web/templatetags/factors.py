"""What the pages of second factors need."""

import json
from typing import Any, Final

from django import template
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _

register = template.Library()
BROWSERS: Final = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
"""What a browser's own words hold, and its name: the first that fits, because many also name those after them."""
SYSTEMS: Final = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


class _Encoder(DjangoJSONEncoder):
    def default(self, one: Any) -> Any:
        return dict(one) if hasattr(one, "keys") else super().default(one)


@register.filter
def as_json(value: Any) -> str:
    """A value as JSON for a ``data-`` attribute (escaped by the template): no script stands in the page."""
    return json.dumps(value, cls=_Encoder)


@register.filter
def device(said: str) -> str:
    """A browser's User-Agent as people say it: ``Firefox, Linux``. It is what the caller said of itself."""
    found = [next((name for sign, name in known if sign in said), "") for known in (BROWSERS, SYSTEMS)]
    return ", ".join(name for name in found if name) or _("Unknown device")
