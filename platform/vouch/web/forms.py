"""Signing in and signing up. Both doors are throttled by address before a password is looked at."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm
from allauth.account.models import Login
from django import forms
from django.utils.translation import gettext_lazy as _

from foundation.errors import VouchError
from foundation.identity import services
from foundation.identity.actors import Actor
from foundation.identity.models import Person

MAX_PASSWORD = 200
"""Characters; a longer one would only cost the hash function time. The API has the same bound."""


class SignIn(LoginForm):  # type: ignore[misc]
    """E-mail address and password. One message for every failure: it tells nobody which addresses have accounts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["login"]
        self.fields["username"] = forms.EmailField(
            label=_("E-mail address"),
            max_length=254,
            widget=forms.EmailInput(attrs={"autocomplete": "username webauthn", "autofocus": True}),
        )
        self.fields["password"] = forms.CharField(
            label=_("Password"),
            max_length=MAX_PASSWORD,
            strip=False,
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        )
        self.order_fields(["username", "password"])

    def user_credentials(self) -> dict[str, str]:
        return {"email": self.cleaned_data["username"].strip().lower(), "password": self.cleaned_data["password"]}

    def _clean_with_password(self, credentials: dict[str, str]) -> dict[str, Any]:
        person = get_adapter().authenticate(self.request, **credentials)
        if person is None:
            raise forms.ValidationError(_("The e-mail address or the password is wrong."))
        self.user, self._login = person, Login(user=person, email=credentials["email"])
        return self.cleaned_data


class SignUp(forms.Form):
    """A new member. Other roles are given on the command line only."""

    display_name = forms.CharField(
        label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=MAX_PASSWORD,
        min_length=10,
        strip=False,
        help_text=_("At least 10 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    FIELD_OF = {"weak_password": "password", "email_taken": "email"}

    def register(self) -> Person | None:
        """The new person, or None with the reason among the form's errors."""
        try:
            return services.register_person(actor=Actor.system("sign-up"), **self.cleaned_data)
        except VouchError as error:
            if error.code not in self.FIELD_OF:
                raise
            self.add_error(self.FIELD_OF[error.code], f"{error.detail} {error.advice}".strip())
            return None
