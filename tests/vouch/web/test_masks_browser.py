"""Masks in the studio: their distance as a meter with words, spoken through, renamed, ended. In English and Chinese."""

import pytest
from django.test import Client

from cloning.masks.models import VoiceMask
from cloning.models import Job, SpeechRequest
from tests.cloning import factories as make
from tests.vouch.web.test_browser import accessible, finished, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
USES = {"own_use": True, "voice_mask": True, "licence_to_others": True}


def test_a_mask_is_asked_for_measured_spoken_through_and_ended(page, sign_in, person) -> None:
    owner, customer = person(), person()
    voice = make.voice(owner, make.consent(owner, uses=USES))
    mask = make.mask(voice)
    sign_in(owner).goto(f"/voices/{voice.id}")
    card = page.locator("#masks")
    meter = card.locator("meter")
    assert (meter.get_attribute("value"), meter.get_attribute("high")) == ("0.61", "0.80")
    said = card.locator("[data-mask]").inner_text()
    assert "0.61: clearly somebody else. From 0.80 on two voices count as one" in said
    assert "as near as 0.55" in said
    accessible(page, "masks")

    page.get_by_label("What shall it say?").fill(make.TEXT)
    page.get_by_label("Pitch").press("ArrowRight")
    page.get_by_label("Speak through a mask").select_option("Stage")
    assert page.get_by_label("Pitch").is_disabled()
    page.get_by_role("button", name="Speak", exact=True).click()
    request = until(lambda: SpeechRequest.objects.filter(output=None).first())
    assert (request.mask_id, request.manner) == (mask.id, {})
    finished(request)
    page.locator("article.take[data-loaded]").wait_for()
    assert "masked ·" in page.locator("article.take").inner_text()

    card.get_by_text("Change").click()
    card.get_by_label("Name", exact=True).fill("Night")
    with page.expect_navigation():
        card.get_by_role("button", name="Rename").click()
    assert VoiceMask.objects.get().name == "Night"
    card.get_by_label("Name of a new mask").fill("Day")
    card.get_by_role("button", name="Make a mask").click()
    asked = until(lambda: VoiceMask.objects.filter(name="Day").first())
    Job.objects.filter(id=asked.job_id).update(state="failed", error_code="mask_not_found")
    VoiceMask.objects.filter(id=asked.id).update(state="failed")
    page.locator(f'[data-mask="{asked.id}"]').get_by_text("Could not be made").wait_for()
    ready = page.locator(f'[data-mask="{mask.id}"]')
    ready.get_by_text("Change").click()
    with page.expect_navigation():
        ready.get_by_role("button", name="End this mask").click()
    assert VoiceMask.objects.get(id=mask.id).state == "ended"
    assert page.get_by_label("Speak through a mask").count() == 0

    # A customer whose licence allows masks picks one and changes none; a consent without the yes says what to do.
    make.mask(voice, name="Dawn")
    make.licence(voice.consent, customer, scope={"uses": ["voice_mask"]})
    other = Client()
    other.force_login(customer)
    shown = other.get(f"/voices/{voice.id}", headers={"Accept-Language": "zh-CN"}).content.decode()
    assert "Dawn" in shown
    assert "明显是另一个人" in shown
    assert "data-end" not in shown
    assert "new-mask" not in shown
    plain = make.voice(owner, make.consent(owner), name="Plain")
    mine = Client()
    mine.force_login(owner)
    assert "Your consent does not allow masks" in mine.get(f"/voices/{plain.id}").content.decode()
