"""What the schema says of every operation without its being said at each: refusals, and keys that make an act once."""

from typing import Any, ClassVar, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from vouch.api.core.idempotency import MAX_KEY
from vouch.api.core.negotiation import PROBLEM
from vouch.api.core.views import ApiView

ONCE = OpenApiParameter(
    "Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": MAX_KEY}, OpenApiParameter.HEADER,
    description="The same key and body get the same answer for a day, and nothing is done twice.",
)  # fmt: skip


class ProblemDetails(serializers.Serializer[Any]):
    """RFC 9457. Some codes bring further members: `fields`, `retry_after`, …"""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable: all of them are listed in docs/api.md.")
    detail = serializers.CharField(help_text="What happened, for people.")
    advice = serializers.CharField(help_text="What can be done, for people; may be empty.")
    request_id = serializers.CharField(help_text="As the header X-Request-Id.")


def refusals(*statuses: int) -> dict[Any, Any]:
    """Responses of ``extend_schema`` for what an operation refuses besides the common."""
    return {(status, PROBLEM): ProblemDetails for status in statuses}


class ApiSchema(AutoSchema):
    """``AutoSchema`` with the refusals of `ApiView` and its idempotency."""

    view: ClassVar[Any]

    def get_override_parameters(self) -> list[Any]:
        return [ONCE] if self.method == "POST" and getattr(self.view, "idempotent", False) else []

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
        found = super()._get_response_bodies(direction)
        if isinstance(self.view, ApiView) and self.view.problems:
            for status in sorted(self._refusals() - {int(status) for status in found}):
                found[str(status)] = self._get_response_for_code(ProblemDetails, str(status), media_types=[PROBLEM])
        return dict(sorted(found.items()))

    def _refusals(self) -> set[int]:
        """Statuses of what `ApiView` and what is below it may refuse here."""
        view: ApiView = self.view
        acts = self.method != "GET"
        statuses = {429, 503}
        if not view.public or self.method in view.scopes:
            statuses |= {401, 403}
        elif view.get_authenticators():
            statuses |= {401}  # a wrong key is an error, also where none is needed
        if "{" in self.path or acts:
            statuses |= {404}
        if acts:
            statuses |= {400, 409, 413, 415, 422}
            if self.method != "DELETE" and isinstance(self.get_request_serializer(), dict):
                statuses |= {411}  # sound is read from the socket, so its length is known before
        if self._query_parameters():
            statuses |= {422}
        return statuses

    def _query_parameters(self) -> bool:
        return any(one.location == "query" for one in self.get_override_parameters() if hasattr(one, "location"))
