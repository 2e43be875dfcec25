"""Passkeys in a real browser, with Chromium's virtual authenticator: from sign-up to the desk's step-up."""

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache

from cloning.models import Voice
from foundation.audit.models import Leaf
from foundation.identity.models import Person
from safety.models import Ruling
from tests.cloning import factories as make
from tests.safety.desk import reported
from tests.vouch.web.test_browser import accessible

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct horse 42"


@pytest.fixture
def authenticator(page: Any) -> Any:
    """A device that keeps passkeys and says yes: ``authenticator(verified)`` sets whether it knows its owner."""
    cache.clear()
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    made = browser.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }})["authenticatorId"]  # fmt: skip

    def verified(yes: bool) -> None:
        browser.send("WebAuthn.setUserVerified", {"authenticatorId": made, "isUserVerified": yes})

    return verified


def test_from_sign_up_with_a_passkey_to_a_step_up_at_the_desk(page, authenticator, person):
    page.goto("/sign-up")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create an account").click()
    page.get_by_role("button", name="Sign out").wait_for()

    page.goto("/second-factor")
    accessible(page, "second factor")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Password").fill(PASSWORD)  # it is asked for again
    accessible(page, "again")
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name of the passkey").fill("Laptop")
    accessible(page, "add a passkey")
    authenticator(False)  # a device that does not know its owner makes none
    page.get_by_role("button", name="Add a passkey").click()
    page.locator("#problem").wait_for()
    assert not Authenticator.objects.exists()
    authenticator(True)
    page.get_by_role("button", name="Add a passkey").click()
    page.locator("#codes li").first.wait_for()
    accessible(page, "recovery codes")
    page.goto("/second-factor")
    page.get_by_text("Laptop").first.wait_for()

    # Out, and in again: by password the passkey is the second step, by passkey nothing else is asked.
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    page.goto("/sign-in?next=/second-factor")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/sign-in/second-factor")
    accessible(page, "second step")
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_text("Laptop").first.wait_for()
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    page.goto("/sign-in?next=/second-factor")
    accessible(page, "sign in")
    authenticator(False)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.locator("#problem").wait_for()
    authenticator(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("button", name="Sign out").wait_for()
    ways = [
        json.loads(bytes(one.body))["data"]["by"]
        for one in Leaf.objects.filter(kind="person.signed_in").order_by("index")
    ]
    assert ways == [["sign-up"], ["password", "webauthn"], ["webauthn"]]

    # At the desk: signing in with it is not enough for what cannot be taken back; showing it again is.
    Person.objects.filter(email="ada@example.org").update(role="moderator")
    voice = make.voice(owner := person(), make.consent(owner), name="Borrowed voice")
    case = reported(person(), ref=voice.id)
    page.goto(f"/desk/{case.id}")
    page.keyboard.press("c")
    page.locator("#release").wait_for()
    page.wait_for_load_state()  # keys act when the page's script runs
    page.keyboard.press("Shift+D")
    page.locator("#reason").fill("Made from a stolen recording.")
    page.locator("#clause").fill("voice.stolen")
    page.get_by_role("button", name="Decide and go on").click()
    page.locator("#stepup").wait_for()
    accessible(page, "step-up")
    assert not page.locator("#code").is_visible()  # there is no app to ask for a code
    assert not Ruling.objects.exists()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/desk")
    assert Ruling.objects.get().state == "second"
    assert Voice.objects.get(id=voice.id).state == "ready"

    # Taken away again, it opens nothing.
    page.goto("/second-factor")
    page.get_by_role("link", name="Remove Laptop").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("Laptop").wait_for(state="detached")
    page.get_by_role("link", name="Add a passkey").wait_for()
    assert not Authenticator.objects.exists()
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("This passkey opens nothing here.").wait_for()
    acts = [
        json.loads(bytes(one.body))["data"]["act"]
        for one in Leaf.objects.filter(kind="person.second_factor").order_by("index")
    ]
    assert acts == ["passkey_added", "passkey_removed"]
