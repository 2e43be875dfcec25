"""What the schema says of every operation without its being said at each: refusals, and keys that make an act once."""

from typing import Any, ClassVar, Final, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from vouch.api.core.idempotency import MAX_KEY
from vouch.api.core.negotiation import PROBLEM
from vouch.api.core.views import ApiView

ONCE = OpenApiParameter(
    "Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": MAX_KEY}, OpenApiParameter.HEADER,
    description="The same key and body get the same answer for a day, and nothing is done twice. It is a person's.",
)  # fmt: skip

SAYS: Final = {
    400: "The body is not what it says it is.",
    401: "No key, or one that is unknown, revoked or expired.",
    403: "Not allowed: a scope is missing, or the gate refused.",
    404: "There is no such thing here, or it is not yours.",
    409: "It does not fit the present state.",
    410: "It was here and is no more.",
    411: "The body's length is not said ahead.",
    413: "More than is accepted.",
    415: "Not that content type.",
    416: "There is no such part.",
    422: "Understood and refused: `fields` names what is wrong, or `code` why.",
    426: "The address speaks another protocol.",
    429: "Too often, or too many.",
    503: "Not now.",
}
"""What refusals say, whatever the operation."""
LATER: Final = ("429", "503")
AGAIN: Final = "RetryAfter"
"""The header of every such answer, as `settings` describes it."""


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
    return {(status, PROBLEM): OpenApiResponse(ProblemDetails, SAYS[status]) for status in statuses}


class ApiSchema(AutoSchema):
    """``AutoSchema`` with the refusals of `ApiView` and its idempotency."""

    view: ClassVar[Any]

    def get_override_parameters(self) -> list[Any]:
        return [ONCE] if self.method == "POST" and getattr(self.view, "idempotent", False) else []

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
        found = super()._get_response_bodies(direction)
        if isinstance(self.view, ApiView) and self.view.problems:
            for status in sorted(self._refusals() - {int(status) for status in found}):
                refused = OpenApiResponse(ProblemDetails, SAYS[status])
                found[str(status)] = self._get_response_for_code(refused, str(status), media_types=[PROBLEM])
        return dict(sorted(found.items()))

    def _get_response_headers_for_code(
        self, status_code: str, direction: Literal["request", "response"] = "response"
    ) -> dict[str, Any]:
        found: dict[str, Any] = super()._get_response_headers_for_code(status_code, direction)
        return {**found, **({"Retry-After": {"$ref": f"#/components/headers/{AGAIN}"}} if status_code in LATER else {})}

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
