"""Pages of a list, by keyset: a cursor says behind which row to go on, so rows that come or go shift nothing.

    GET /api/v1/voices?limit=50               the array, as without pages
    Link: </api/v1/voices?limit=50&cursor=…>; rel="next"      (RFC 8288)
    Next-Cursor: …                            the same cursor; both are absent on the last page

A cursor holds the last row's place in the list's order and is signed for one list and one person: it is opaque, and
what comes back changed, or from elsewhere, is refused as ``bad_cursor``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import F, Field, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.errors import BadCursor

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 100
MAX_CURSOR: Final = 500
PARAMETERS: Final = [
    OpenApiParameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        description="Rows in one answer.",
    ),
    OpenApiParameter("cursor", str, description="Next-Cursor of the page before; nothing begins at the beginning."),
    OpenApiParameter(
        "Link", str, OpenApiParameter.HEADER, response=[200], description='rel="next": the next page, if any.'
    ),
    OpenApiParameter("Next-Cursor", str, OpenApiParameter.HEADER, response=[200], description="Its cursor."),
]  # fmt: skip


class PageQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(max_length=MAX_CURSOR, default="", allow_blank=True)


PAGE_FIELDS: Final = ("limit", "cursor")


class _Key(NamedTuple):
    """One part of a list's order: ``path`` as lookups write it (``entry__at``)."""

    path: str
    down: bool


def listed(view: type[serializers.Serializer[Any]], *, parameters: Sequence[Any] = (), **schema: Any) -> Any:
    """``extend_schema`` of a GET that answers with pages of ``view``."""
    return extend_schema(parameters=[*parameters, *PARAMETERS], responses=view(many=True), **schema)


def paged(request: Request, found: QuerySet[Any], view: type[serializers.Serializer[Any]]) -> Response:
    """The asked page of ``found``, in its own order. Raises BadCursor, ValidationError (422)."""
    rows, after = page(request, found)
    return linked(request, view(rows, many=True).data, after)


def page(request: Request, found: QuerySet[Any]) -> tuple[list[Any], str]:
    """Its rows, and the cursor behind the last of them; empty when there are no more. Raises as ``paged``."""
    asked = asked_page(request)
    keys = _keys(found)
    found = found.order_by(*(("-" if key.down else "") + key.path for key in keys))
    salt = _salt(request)
    if asked["cursor"]:
        found = found.filter(_behind(found.model, keys, asked["cursor"], salt))
    rows = list(found[: asked["limit"] + 1])
    if len(rows) <= asked["limit"]:
        return rows, ""
    del rows[-1]
    place = [_field(found.model, key.path).value_to_string(_holder(rows[-1], key.path)) for key in keys]
    return rows, signing.Signer(salt=salt, sep=".").sign_object(place)


def asked_page(request: Request) -> dict[str, Any]:
    """``limit`` and ``cursor`` of a request. Raises ValidationError (422)."""
    query = PageQuery(data={name: request.query_params[name] for name in PAGE_FIELDS if name in request.GET})
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


def linked(request: Request, data: Any, after: str) -> Response:
    """The answer, with where the next page is when ``after`` is not empty."""
    if not after:
        return Response(data)
    others = [(name, value) for name, values in request.GET.lists() if name != "cursor" for value in values]
    query = urlencode([*others, ("cursor", after)])
    return Response(data, headers={"Link": f'<{request.path}?{query}>; rel="next"', "Next-Cursor": after})


def _salt(request: Request) -> str:
    return f"vouch.page:{request.path}:{getattr(request.user, 'pk', None)}"


def _keys(found: QuerySet[Any]) -> list[_Key]:
    """The order of the rows, made total by the primary key."""
    keys = []
    for part in found.query.order_by:
        if isinstance(part, str):
            keys.append(_Key(part.removeprefix("-"), part.startswith("-")))
        elif isinstance(part, OrderBy) and isinstance(part.expression, F):
            keys.append(_Key(part.expression.name, part.descending))  # type: ignore[attr-defined]
        else:
            raise TypeError(f"a list ordered by {part!r} has no pages")
    key = found.model._meta.pk.name
    return keys if keys and keys[-1].path in ("pk", key) else [*keys, _Key(key, keys[-1].down if keys else False)]


def _behind(model: type[Model], keys: Sequence[_Key], cursor: str, salt: str) -> Q:
    try:
        place = signing.Signer(salt=salt, sep=".").unsign_object(cursor)
        values = [_field(model, key.path).to_python(text) for key, text in zip(keys, place, strict=True)]
    except (signing.BadSignature, ValidationError, ValueError, TypeError) as error:
        raise BadCursor from error
    behind, same = Q(), Q()
    for key, value in zip(keys, values, strict=True):
        behind |= same & Q(**{f"{key.path}__{'lt' if key.down else 'gt'}": value})
        same &= Q(**{key.path: value})
    # Says nothing new, but the database can walk the index of the first part with it.
    return Q(**{f"{keys[0].path}__{'lte' if keys[0].down else 'gte'}": values[0]}) & behind


def _field(model: type[Model], path: str) -> Field[Any, Any]:
    *relations, name = path.split("__")
    for relation in relations:
        model = model._meta.get_field(relation).related_model  # type: ignore[assignment]
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    if not isinstance(field, Field) or field.null:
        raise TypeError(f"a list ordered by {path}, which may be empty, has no pages")
    return field


def _holder(row: Any, path: str) -> Any:
    for relation in path.split("__")[:-1]:
        row = getattr(row, relation)
    return row
