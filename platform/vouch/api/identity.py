"""Accounts, keys, and (in rehearsal only) the clock."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation import clock
from foundation.audit import log
from foundation.errors import NotFound, Refused
from foundation.identity import second_factor, selectors, services
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from vouch import subjects
from vouch.api.core import ApiView, checked
from vouch.api.core.paging import listed, paged
from vouch.stepup import require_step_up

MAX_KEY_DAYS = 3650


class NewPerson(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    display_name = serializers.CharField(max_length=120)
    password = serializers.CharField(max_length=200, write_only=True)
    organisation = serializers.CharField(max_length=200, required=False)


class PersonView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.EmailField()
    display_name = serializers.CharField()
    role = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    key = serializers.CharField(required=False, help_text="The first API key, shown once.")


class NewKey(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.CharField(max_length=40), max_length=20)
    days = serializers.IntegerField(
        min_value=1, max_value=MAX_KEY_DAYS, required=False, help_text="How long it is valid; left out: until revoked."
    )


class KeyRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    begins = serializers.SerializerMethodField(help_text="How the key begins, to tell it by.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")

    def get_begins(self, key: Any) -> str:
        return f"vk_{key.prefix}_"


class KeyView(KeyRow):
    key = serializers.CharField(required=False, help_text="Shown once; only its hash is kept.")


class ClockStep(serializers.Serializer[Any]):
    advance_hours = serializers.FloatField(min_value=0, max_value=720)


class ClockView(serializers.Serializer[Any]):
    now = serializers.DateTimeField()
    offset_hours = serializers.FloatField()


class People(ApiView):
    shown_once: ClassVar[tuple[str, ...]] = ("key",)
    public: ClassVar[bool] = True
    per_minute: ClassVar[int | None] = 30

    @extend_schema(request=NewPerson, responses={201: PersonView}, summary="Register and get a first API key")
    def post(self, request: Request) -> Response:
        fields = NewPerson(data=request.data)
        fields.is_valid(raise_exception=True)
        with transaction.atomic():
            person = services.register_person(actor=Actor.system("sign-up"), **fields.validated_data)
            _, key = services.issue_api_key(actor=Actor.of(person), person=person, name="first key")
        return Response({**_person(person, Actor.of(person)), "key": key}, status=201)


class Me(ApiView):
    @extend_schema(responses=PersonView, summary="Who am I?")
    def get(self, request: Request) -> Response:
        return Response(_person(self.person, self.actor))


class Erasure(serializers.Serializer[Any]):
    confirm = serializers.UUIDField(help_text="Your own id: it cannot be taken back.")


class ErasedView(serializers.Serializer[Any]):
    person = serializers.UUIDField()
    erased = serializers.DictField(child=serializers.IntegerField())
    kept = serializers.ListField(child=serializers.CharField(), help_text="As proof: see /retention.")


class NotConfirmed(Refused):
    """An erasure is confirmed with your own id."""

    code = "not_confirmed"


class MyExport(ApiView):
    scopes: ClassVar[dict[str, str]] = {"GET": "consent:read"}
    per_minute: ClassVar[int | None] = 6

    @extend_schema(responses=OpenApiTypes.OBJECT, summary="Everything you hold about me")
    def get(self, request: Request) -> Response:
        response = Response(subjects.export(actor=self.actor))
        response["Content-Disposition"] = 'attachment; filename="vouch-export.json"'
        return response


class MyErasure(ApiView):
    idempotent: ClassVar[bool] = False  # nobody is left to keep an answer for
    scopes: ClassVar[dict[str, str]] = {"POST": "consent:write"}

    @extend_schema(request=Erasure, responses=ErasedView, summary="Erase me: ends everything of mine, for good")
    def post(self, request: Request) -> Response:
        if checked(Erasure, request.data)["confirm"] != self.person.id:
            raise NotConfirmed
        return Response(subjects.erase(actor=self.actor))


class Keys(ApiView):
    shown_once: ClassVar[tuple[str, ...]] = ("key",)

    @listed(KeyRow, summary="My API keys, newest first")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.keys_of(actor=self.actor), KeyRow)

    @extend_schema(request=NewKey, responses={201: KeyView}, summary="Issue an API key with some of my scopes")
    def post(self, request: Request) -> Response:
        fields = NewKey(data=request.data)
        fields.is_valid(raise_exception=True)
        if not request.headers.get("Authorization") and second_factor.is_set_up(self.person.id):
            require_step_up(request)  # a key outlasts the session that somebody left open
        key, plain = services.issue_api_key(actor=self.actor, person=self.person, **fields.validated_data)
        return Response({**KeyRow(key).data, "key": plain}, status=201)


class KeyItem(ApiView):
    @extend_schema(responses={204: OpenApiResponse(description="revoked")}, summary="Revoke a key of mine")
    def delete(self, request: Request, key_id: str) -> Response:
        services.revoke_api_key(actor=self.actor, key_id=key_id)
        return Response(status=204)


class RehearsalClock(ApiView):
    scopes: ClassVar[dict[str, str]] = {"POST": "operate"}

    @extend_schema(request=ClockStep, responses=ClockView, summary="Move the rehearsal clock forward (rehearsal only)")
    def post(self, request: Request) -> Response:
        if not settings.REHEARSAL:
            raise NotFound
        fields = ClockStep(data=request.data)
        fields.is_valid(raise_exception=True)
        with transaction.atomic():
            try:
                offset = clock.move_forward(timedelta(hours=fields.validated_data["advance_hours"]))
            except ValueError as error:
                raise Refused(str(error), code="clock_out_of_range") from error
            log.record(
                kind="clock.moved",
                subject="rehearsal",
                actor=self.actor,
                data={"offset_seconds": offset.total_seconds()},
                rehearsal=True,
            )
        return Response({"now": clock.now(), "offset_hours": offset.total_seconds() / 3600})


def _person(person: Person, actor: Actor) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "display_name": person.display_name,
        "role": person.role,
        "scopes": sorted(actor.scopes),
    }


urlpatterns = [
    path("people", People.as_view()),
    path("me", Me.as_view()),
    path("me/export", MyExport.as_view()),
    path("me/erase", MyErasure.as_view()),
    path("keys", Keys.as_view()),
    path("keys/<uuid:key_id>", KeyItem.as_view()),
    path("rehearsal/clock", RehearsalClock.as_view()),
]
