"""A voice at once in the studio: asked for while the training waits, heard, compared when the trained one is ready."""

import pytest

from cloning import gate, instant, services, training
from cloning.models import Job, SpeechRequest
from cloning.worker import claim
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from tests.cloning import factories as make
from tests.vouch.web.test_browser import SYSTEM, accessible, finished, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]


def test_it_is_asked_for_speaks_and_is_compared(page, sign_in, person) -> None:
    owner = person()
    under = make.consent(owner)
    voice = services.request_voice(actor=Actor.of(owner), consent_id=under.id, name="Mine", language="en")
    sign_in(owner).goto(f"/voices/{voice.id}")
    speak = page.get_by_role("button", name="Speak", exact=True)
    assert speak.is_disabled()
    page.get_by_role("button", name="Speak at once").click()
    job = until(lambda: Job.objects.filter(kind="instant").first())
    # What a worker does (`cloning.instant.make`), only without an engine.
    token = gate.clear_training(actor=SYSTEM, voice=voice, digest=voice.training_digest)
    voice.instant = vault.store_voice(
        clearance=token, key=voice.key, owner_ref=str(voice.id), data=b"instant", digest=voice.training_digest,
        actor=SYSTEM,
    )  # fmt: skip
    voice.save(update_fields=["instant"])
    Job.objects.filter(id=job.id).update(state="succeeded", stage="done")
    page.get_by_text("Your instant voice speaks").wait_for()
    accessible(page, "instant")
    page.get_by_label("What shall it say?").fill(make.TEXT)
    speak.click()
    request = until(lambda: SpeechRequest.objects.first())
    assert instant.chosen(request) == voice.instant
    request.refresh_from_db()
    finished(request)
    page.locator("article.take[data-loaded]").wait_for()
    assert "instant voice ·" in page.locator("article.take").inner_text()

    run = claim(voice.jobs.get(kind="train").id)
    assert run is not None
    token = gate.clear_training(actor=SYSTEM, voice=voice, digest=voice.training_digest)
    training._publish(run, voice, token, voice.training_digest, b"weights")
    page.reload()
    page.get_by_label("What shall it say?").fill(make.TEXT)
    page.get_by_role("button", name="Compare with the instant voice").click()
    both = until(lambda: len(found := SpeechRequest.objects.filter(output=None)) == 2 and list(found))
    assert sorted(one.instant for one in both) == [False, True]
    assert len({(one.seed, one.text_digest) for one in both}) == 1
    for one in both:
        finished(one)
    page.locator(".compare article[data-loaded]").nth(1).wait_for()
    assert page.get_by_text("instant voice ·").count() == 1
