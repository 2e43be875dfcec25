"""Passkeys (WebAuthn level 3) as forms take them: always with the person verified (PIN, finger, face), always kept by
the authenticator so that it can say by itself whose it is, and never a 500 for what a meddler sends."""

import struct
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt, encrypt
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.utils.translation import gettext_lazy as _

from foundation.identity.sealing import SealBroken

MALFORMED = (TypeError, ValueError, LookupError, AttributeError, struct.error)
"""What the parsers of credentials raise at bytes that are none."""
MAX_CREDENTIAL = 64 * 1024
"""Characters of a credential's JSON; attestations of real authenticators have some thousand."""


class _Shown:
    def clean_credential(self) -> Any:
        if len(str(self.data.get("credential", ""))) > MAX_CREDENTIAL:  # type: ignore[attr-defined]
            raise get_adapter().validation_error("incorrect_code")
        try:
            return super().clean_credential()  # type: ignore[misc]
        except MALFORMED:
            raise get_adapter().validation_error("incorrect_code") from None


class ShownPasskey(_Shown, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey shown again by somebody who is signed in."""


class SecondStepPasskey(_Shown, AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey after the password."""


class SignInPasskey(_Shown, LoginWebAuthnForm):  # type: ignore[misc]
    """A passkey instead of everything else."""


class NewPasskey(AddWebAuthnForm):  # type: ignore[misc]
    passwordless = None
    name = forms.CharField(label=_("Name of the passkey"), required=False, max_length=80)

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()  # type: ignore[no-any-return]
        except MALFORMED:
            raise get_adapter().validation_error("incorrect_code") from None


class NewApp(ActivateTOTPForm):  # type: ignore[misc]
    """allauth keeps the secret of an app that is being set up in the session: there too it lies sealed."""

    secret: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound:
            try:
                self.secret = decrypt(self.secret)
                return
            except SealBroken:  # nothing was waiting in this session: allauth has just made a new one
                pass
        context.request.session[totp.SECRET_SESSION_KEY] = encrypt(self.secret)
