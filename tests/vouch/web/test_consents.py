"""My consents: what was allowed and the proof of it, and withdrawal as easy as giving."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from consent.consequences import ENDS, REMAINS
from consent.models import Consent, Examination
from foundation.clock import move_forward
from tests.consent.factories import consent, decide
from tests.vouch.web.test_browser import answer_challenge

pytestmark = pytest.mark.django_db


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_page_says_what_is_allowed_and_what_is_not_and_shows_nobody_elses(person: Any) -> None:
    mine, other = consent(person()), consent(person())
    body = signed_in(mine.person).get("/consents").content.decode()
    allowed = body.split("<dt>Allowed</dt>")[1].split("</dd>")[0]
    assert "I use it myself" in allowed
    assert "Licence to others" in allowed
    refused = body.split("<dt>Not allowed</dt>")[1].split("</dd>")[0]
    assert all(use in refused for use in ("Languages I did not record", "Advertising", "Political speech", "Singing"))
    assert f"/api/v1/consents/{mine.id}/receipt.pdf?language=en" in body
    assert str(other.id) not in body


def test_it_says_before_what_a_withdrawal_ends_in_the_readers_language(person: Any) -> None:
    mine = consent(person())
    client = signed_in(mine.person)
    for language, code in (("en", "en"), ("zh-hans", "zh")):
        client.cookies["django_language"] = language
        body = client.get("/consents").content.decode()
        for what in ("consent.withdrawn", "template.destroyed", "search_template.destroyed", "recording.destroyed"):
            assert ENDS[what][code] in body
        assert all(says[code] in body for says in REMAINS.values())
        assert ENDS["licence.ended"][code] not in body


def test_a_consent_about_to_end_says_so_and_an_ended_one_offers_no_withdrawal(person: Any) -> None:
    mine = consent(person(), term_days=10)
    client = signed_in(mine.person)
    assert "This consent ends in" not in client.get("/consents").content.decode()
    move_forward(timedelta(days=8, hours=1))
    assert "This consent ends in 1 day;" in client.get("/consents").content.decode()
    move_forward(timedelta(days=2))
    body = client.get("/consents").content.decode()
    assert "Expired" in body
    client.post(f"/api/v1/consents/{mine.id}/withdraw")
    assert "data-withdraw" not in client.get("/consents").content.decode()


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_the_wrong_role_and_nobody_see_nothing(person: Any, role: str) -> None:
    assert signed_in(person(role)).get("/consents").status_code == 403
    assert Client().get("/consents")["Location"].startswith("/sign-in")


@pytest.mark.browser
@pytest.mark.enable_socket
@pytest.mark.django_db(transaction=True)
def test_withdrawing_by_keyboard_shows_each_consequence_before_and_after(page: Any, sign_in: Any, person: Any) -> None:
    owner = person()
    mine = consent(owner)
    sign_in(owner).goto("/consents")
    page.get_by_role("button", name="Withdraw", exact=True).press("Enter")
    dialog = page.get_by_role("dialog", name="Withdraw this consent?")
    assert ENDS["template.destroyed"]["en"] in dialog.inner_text()
    assert REMAINS["copies"]["en"] in dialog.inner_text()
    page.keyboard.press("Enter")  # the focus is on "Keep it"
    dialog.wait_for(state="hidden")
    assert Consent.objects.get(id=mine.id).state == "active"
    page.get_by_role("button", name="Withdraw", exact=True).press("Enter")
    dialog.get_by_role("button", name="Withdraw for good").press("Enter")
    done = page.get_by_role("dialog", name="Withdrawn")
    done.get_by_text("What ended, and when:").wait_for()
    assert ENDS["template.destroyed"]["en"] in done.inner_text()
    assert " UTC" in done.inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Withdrawn"
    assert Consent.objects.get(id=mine.id).state == "withdrawn"
    done.get_by_role("button", name="Close").press("Enter")
    page.locator(".chip.withdrawn").wait_for()


@pytest.mark.browser
@pytest.mark.enable_socket
@pytest.mark.django_db(transaction=True)
def test_the_receipt_is_there_as_code_page_and_proof(page: Any, sign_in: Any, person: Any) -> None:
    mine = consent(person())
    sign_in(mine.person).goto("/consents")
    page.locator("summary").press("Enter")
    assert page.locator("img.code").evaluate("(one) => one.decode().then(() => one.naturalWidth > 0)")
    with page.expect_download() as download:
        page.get_by_role("link", name="Page to print (PDF)").click()
    assert download.value.suggested_filename == f"consent-{mine.id}.pdf"
    with page.expect_download() as download:
        page.get_by_role("link", name="Text of the code").click()
    assert download.value.suggested_filename == f"consent-{mine.id}.txt"


@pytest.mark.browser
@pytest.mark.enable_socket
@pytest.mark.django_db(transaction=True)
def test_a_consent_is_renewed_by_new_words_with_its_terms_filled_in(page: Any, sign_in: Any, person: Any) -> None:
    mine = consent(person(), languages=["zh"], territory="DE,FR")
    sign_in(mine.person).goto("/consents")
    page.get_by_role("link", name="Renew or change").click()
    page.get_by_role("heading", name="Renew a consent").wait_for()
    page.wait_for_load_state("load")  # its scripts have run
    challenge = answer_challenge(page)
    decide(Examination.objects.get(challenge=challenge))
    page.get_by_role("button", name="Go on to the consent").click()
    form = page.locator("#terms")
    form.get_by_label("I use it myself").wait_for()
    assert form.get_by_label("Licence to others").is_checked()
    assert form.get_by_label("Chinese").is_checked()
    assert not form.get_by_label("English").is_checked()
    assert form.get_by_label("Where?").input_value() == "DE,FR"
    form.get_by_label("For how many days?").fill("60")
    form.get_by_label("I have read this and I consent.").check()
    form.get_by_label("Separately: I release the voice template for this one purpose.").check()
    form.get_by_role("button", name="Renew").click()
    page.wait_for_url("**/consents")
    new = Consent.objects.get(former=mine)
    assert (new.state, new.territory, new.languages) == ("active", "DE,FR", ["zh"])
    assert "version 2" in page.locator("article").first.inner_text()


def test_only_an_own_consent_in_force_is_renewed(person: Any) -> None:
    mine, other = consent(person(), term_days=1), consent(person())
    client = signed_in(mine.person)
    assert f'data-renew="{mine.id}"' in client.get(f"/consent?renew={mine.id}").content.decode()
    assert 'data-renew=""' in client.get("/consent").content.decode()
    move_forward(timedelta(days=1))
    for wrong in (mine.id, other.id, "nonsense"):
        assert client.get(f"/consent?renew={wrong}").status_code == 404
