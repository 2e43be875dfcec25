"""The second factor: setting it up, and showing it before what cannot be taken back."""

from typing import Any, ClassVar

from allauth.mfa.adapter import get_adapter
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.identity import second_factor
from vouch import stepup
from vouch.api.core import ApiView, checked


class FactorView(serializers.Serializer[Any]):
    set_up = serializers.BooleanField()


class NewFactor(serializers.Serializer[Any]):
    password = serializers.CharField(max_length=200, trim_whitespace=False)


class FactorSecret(serializers.Serializer[Any]):
    secret = serializers.CharField(required=False, help_text="Base32, shown once.")
    address = serializers.CharField(required=False, help_text="The otpauth:// address for the authenticator app.")


class Code(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=12)


class Challenge(serializers.Serializer[Any]):
    publicKey = serializers.JSONField(help_text="PublicKeyCredentialRequestOptionsJSON (WebAuthn level 3).")


class Passkey(serializers.Serializer[Any]):
    credential = serializers.DictField(help_text="The credential as `PublicKeyCredential.toJSON()` gives it.")


class Factor(ApiView):
    shown_once: ClassVar[tuple[str, ...]] = ("secret", "address")
    per_minute: ClassVar[int | None] = 10

    @extend_schema(responses=FactorView, summary="Do I have a second factor?")
    def get(self, request: Request) -> Response:
        return Response({"set_up": second_factor.is_set_up(self.person.id)})

    @extend_schema(request=NewFactor, responses={201: FactorSecret}, summary="Begin setting up a second factor (TOTP)")
    def post(self, request: Request) -> Response:
        if second_factor.is_set_up(self.person.id):
            stepup.require_step_up(request)  # whoever has a factor shows it before there is another
        secret = second_factor.begin(actor=self.actor, **checked(NewFactor, request.data))
        address = get_adapter().build_totp_url(self.person, secret)
        return Response({"secret": second_factor.spelled(secret), "address": address}, status=201)


class ConfirmFactor(ApiView):
    idempotent: ClassVar[bool] = False  # it marks a session, and what was sent is a secret
    per_minute: ClassVar[int | None] = 10

    @extend_schema(request=Code, responses={204: None}, summary="Confirm the second factor with its first code")
    def post(self, request: Request) -> Response:
        second_factor.confirm(actor=self.actor, **checked(Code, request.data))
        return Response(status=204)


class StepUp(ApiView):
    """Marks this session for five minutes; a program sends the header `X-Step-Up` with the act instead."""

    idempotent: ClassVar[bool] = False  # it marks a session, and what was sent is a secret
    per_minute: ClassVar[int | None] = 10

    @extend_schema(request=Code, responses={204: None}, summary="Show the second factor")
    def post(self, request: Request) -> Response:
        stepup.step_up(request, **checked(Code, request.data))
        return Response(status=204)


class PasskeyChallenge(ApiView):
    """For a page of this site, in a session: a passkey answers to no other."""

    idempotent: ClassVar[bool] = False  # it marks a session, and what was sent is a secret
    per_minute: ClassVar[int | None] = 10

    @extend_schema(request=None, responses=Challenge, summary="A challenge for a passkey as the second factor")
    def post(self, request: Request) -> Response:
        return Response(stepup.offer_passkey(request))


class PasskeyStepUp(ApiView):
    idempotent: ClassVar[bool] = False  # it marks a session, and what was sent is a secret
    per_minute: ClassVar[int | None] = 10

    @extend_schema(request=Passkey, responses={204: None}, summary="Show a passkey as the second factor")
    def post(self, request: Request) -> Response:
        stepup.take_passkey(request, **checked(Passkey, request.data))
        return Response(status=204)


urlpatterns = [
    path("second-factor", Factor.as_view()),
    path("second-factor/confirm", ConfirmFactor.as_view()),
    path("step-up", StepUp.as_view()),
    path("step-up/passkey", PasskeyStepUp.as_view()),
    path("step-up/passkey/challenge", PasskeyChallenge.as_view()),
]
