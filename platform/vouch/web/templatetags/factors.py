"""What the pages of second factors need."""

import json
from typing import Any

from django import template
from django.core.serializers.json import DjangoJSONEncoder

register = template.Library()


class _Encoder(DjangoJSONEncoder):
    def default(self, one: Any) -> Any:
        return dict(one) if hasattr(one, "keys") else super().default(one)


@register.filter
def as_json(value: Any) -> str:
    """A value as JSON for a ``data-`` attribute (escaped by the template): no script stands in the page."""
    return json.dumps(value, cls=_Encoder)
