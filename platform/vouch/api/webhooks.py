"""Webhooks: one's own server is told what happens to one's jobs, orders, statements and payouts."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.hooks import selectors
from marketplace.hooks import services as hooks
from marketplace.hooks.addresses import MAX_URL
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged


class NewWebhook(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=MAX_URL, help_text="https, port 443, a public host name.")
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=hooks.KINDS), min_length=1, max_length=20)


class WebhookView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    failures = serializers.IntegerField(help_text="Deliveries that failed in a row; at twenty it is ended.")
    made_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class NewWebhookView(WebhookView):
    secret = serializers.CharField(required=False, help_text="Signs every event; shown only now.")


class DeliveryView(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The header Vouch-Event: the same in every attempt.")
    kind = serializers.CharField()
    state = serializers.CharField()
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField()
    last_status = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField()
    made_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class Webhooks(ApiView):
    shown_once: ClassVar[tuple[str, ...]] = ("secret",)
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read", "POST": "market:write"}

    @listed(WebhookView, summary="My webhooks")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.endpoints_of(actor=self.actor), WebhookView)

    @extend_schema(
        request=NewWebhook, responses={201: NewWebhookView}, summary="Add a webhook; its secret is shown once"
    )
    def post(self, request: Request) -> Response:
        fields = checked(NewWebhook, request.data)
        made = hooks.add_endpoint(actor=self.actor, **fields)
        return Response({**WebhookView(made).data, "secret": hooks.secret_of(made)}, status=201)


class EndWebhook(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(request=None, responses=WebhookView, summary="End a webhook of mine")
    def post(self, request: Request, webhook_id: UUID) -> Response:
        return Response(WebhookView(hooks.end_endpoint(actor=self.actor, endpoint_id=webhook_id)).data)


class WebhookSecret(ApiView):
    shown_once: ClassVar[tuple[str, ...]] = ("secret",)
    scopes: ClassVar[dict[str, str]] = {"POST": "market:write"}

    @extend_schema(
        request=None,
        responses={201: NewWebhookView},
        summary="A new secret, shown once; for a day both sign",
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        found = hooks.rotate_secret(actor=self.actor, endpoint_id=webhook_id)
        return Response({**WebhookView(found).data, "secret": hooks.secret_of(found)}, status=201)


class Deliveries(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "market:read"}

    @listed(DeliveryView, summary="What was sent to a webhook of mine, newest first")
    def get(self, request: Request, webhook_id: UUID) -> Response:
        return paged(request, selectors.deliveries_of(actor=self.actor, endpoint_id=webhook_id), DeliveryView)


urlpatterns = [
    path("webhooks", Webhooks.as_view()),
    path("webhooks/<uuid:webhook_id>/end", EndWebhook.as_view()),
    path("webhooks/<uuid:webhook_id>/secret", WebhookSecret.as_view()),
    path("webhooks/<uuid:webhook_id>/deliveries", Deliveries.as_view()),
]
