"""A voice speaks at once while its training waits: through the same gate, for its owner alone, and says what it is."""

import json
from typing import Any

import pytest

from cloning import errors, gate, instant, jobs, services, tasks
from cloning.masks import services as masks
from cloning.models import Job, JobKind, Output, SpeechRequest, Voice
from cloning.states import VoiceState
from foundation.audit.models import Leaf
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import ClearanceNeeded
from tests.cloning import factories as make
from tests.cloning.test_main_job import _is_traced, speech  # noqa: F401 - a fixture
from vouch import consents

USES = {"own_use": True, "licence_to_others": True, "voice_mask": True}


def leaves(kind: str) -> list[dict[str, Any]]:
    found = (json.loads(bytes(leaf.body)) for leaf in Leaf.objects.order_by("index"))
    return [leaf["data"] for leaf in found if leaf["kind"] == kind]


def ask(who, voice, **how) -> SpeechRequest:
    return services.request_speech(actor=Actor.of(who), voice_id=voice.id, text=make.TEXT, language="en", **how)


@pytest.mark.django_db
def test_who_may_have_one_and_when(person, api) -> None:
    owner, stranger, customer = person(), person(), person()
    consent = make.consent(owner, uses=USES)
    waiting = services.request_voice(actor=Actor.of(owner), consent_id=consent.id, name="New", language="en")
    make.licence(consent, customer)
    for other in (stranger, customer):
        with pytest.raises(NotFound):
            instant.request(actor=Actor.of(other), voice_id=waiting.id)
    assert api(stranger).post(f"/api/v1/voices/{waiting.id}/instant", {}).status_code == 404
    assert api(owner, scopes=["speak"]).post(f"/api/v1/voices/{waiting.id}/instant", {}).status_code == 403
    assert not Job.objects.filter(kind=JobKind.INSTANT).exists()
    with pytest.raises(errors.VoiceNotReady):
        ask(owner, waiting)
    asked = api(owner).post(f"/api/v1/voices/{waiting.id}/instant", {})
    assert (asked.status_code, asked.json()["kind"]) == (202, "instant")
    with pytest.raises(errors.InstantAlready):
        instant.request(actor=Actor.of(owner), voice_id=waiting.id)
    with pytest.raises(errors.VoiceNotReady):
        ask(owner, waiting)
    ready = make.voice(owner, consent, name="Ready")
    with pytest.raises(errors.InstantNotOffered):
        instant.request(actor=Actor.of(owner), voice_id=ready.id)
    with pytest.raises(errors.VoiceNotReady):  # it has none
        ask(owner, ready, instant=True)
    job = Job.objects.get(kind=JobKind.INSTANT)
    consents.withdraw(actor=Actor.of(owner), consent_id=consent.id)
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("cancelled", "consent_withdrawn")
    assert leaves("voice.instant_failed")[-1]["code"] == "consent_withdrawn"
    with pytest.raises(errors.ConsentWithdrawn):
        instant.request(actor=Actor.of(owner), voice_id=waiting.id)


@pytest.mark.django_db(transaction=True)
def test_it_speaks_while_the_training_waits_and_stays_for_a_comparison(person, speech, settings) -> None:  # noqa: F811
    """The real engine on the shipped base; the training that ends meanwhile is the tests' short one."""
    owner, customer = person(), person()
    actor = Actor.of(owner)
    consent = make.consent(owner, uses=USES, speech=speech)
    voice = services.request_voice(actor=actor, consent_id=consent.id, name="Mine", language="en")
    make.licence(consent, customer)
    job = instant.request(actor=actor, voice_id=voice.id)
    assert jobs._queue(job) == jobs.BESIDE  # not behind the training
    tasks.instant.run(str(job.id))
    job.refresh_from_db()
    assert job.state == "succeeded", (job.error_code, job.error_detail)
    voice.refresh_from_db()
    assert (voice.state, voice.weights_id) == (VoiceState.TRAINING, None)
    with pytest.raises(ClearanceNeeded):
        vault.read(sealed_object=voice.instant, actor=make.SYSTEM)
    with pytest.raises(errors.VoiceNotReady):  # it speaks for nobody else
        ask(customer, voice)
    with pytest.raises(errors.VoiceNotReady):  # and wears no mask
        masks.request_mask(actor=actor, voice_id=voice.id, name="Stage")

    request = ask(owner, voice, container="flac")
    assert jobs._queue(request.job) == jobs.BESIDE
    later = ask(owner, voice)
    tasks.speak.run(str(request.job_id))
    done = Job.objects.get(id=request.job_id)
    assert done.state == "succeeded", (done.error_code, done.error_detail)
    made = Output.objects.get(request=request)
    assert made.provenance["statement"]["instant_voice"] is True
    assert leaves("output.sealed")[-1]["instant"] is True
    _is_traced(made)

    # The trained voice takes over, for what was asked before, too; the instant one is there when asked for.
    tasks.train.run(str(voice.jobs.get(kind=JobKind.TRAIN).id))
    voice = Voice.objects.get(id=voice.id)
    assert voice.state == VoiceState.READY
    gate.clear_speech(actor=make.SYSTEM, request=later)
    assert instant.chosen(later) == voice.weights
    both = ask(owner, voice, instant=True)
    gate.clear_speech(actor=make.SYSTEM, request=both)
    assert instant.chosen(both) == voice.instant
    assert (later.instant, both.instant) == (False, True)
    with pytest.raises(errors.VoiceNotReady):
        ask(customer, voice, instant=True)
    with pytest.raises(errors.MaskHasItsOwn):
        ask(owner, voice, instant=True, mask=voice.id)
    consents.withdraw(actor=actor, consent_id=consent.id)
    voice.refresh_from_db()
    assert voice.state == VoiceState.DESTROYED
    voice.instant.key.refresh_from_db()
    assert voice.instant.key.state == "destroyed"
