"""Requests, decisions, retries and the end of a consent: what is true afterwards."""

import json

import pytest
from django.db import IntegrityError, transaction

from cloning import errors, jobs, services
from cloning.models import Job, Output, SpeechRequest, TrainingItem, Voice
from cloning.states import JobState
from cloning.worker import claim
from consent.models import Consent, Recording
from foundation.audit.models import Leaf
from foundation.clock import now
from foundation.errors import NotFound, Refused, VouchError
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db


class Broken(VouchError):
    """It broke."""

    code = "broke"


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def under(owner) -> Consent:
    return make.consent(owner)


@pytest.fixture
def voice(owner, under) -> Voice:
    return make.voice(owner, under)


def ask(requester, voice: Voice, text: str = make.TEXT) -> SpeechRequest:
    return services.request_speech(actor=Actor.of(requester), voice_id=voice.id, text=text, language="en")


def decide(moderator, request: SpeechRequest, decision: str) -> None:
    make.decided(request, by=moderator, decision=decision)
    services.resume_held(actor=Actor.of(moderator), case_id=request.case_ref)


def fail(job: Job) -> None:
    run = claim(job.id)
    assert run is not None
    assert jobs.end_run(job_id=job.id, run=run.token, to=JobState.FAILED, error=Broken())


def job_of(request: SpeechRequest) -> Job:
    return Job.objects.get(id=request.job_id)


def kinds() -> list[str]:
    return list(Leaf.objects.order_by("index").values_list("kind", flat=True))


def test_a_voice_is_requested_with_its_training_set_its_own_key_and_a_job(owner) -> None:
    under = make.consent(owner, speech=[(b"one", "first"), (b"two", "second")])
    made = services.request_voice(actor=Actor.of(owner), consent_id=under.id, name=" Mine ", language="en")
    assert (made.state, made.name, made.rehearsal) == ("training", "Mine", True)
    assert (made.key.kind, made.key.owner_ref) == ("voice", str(made.id))
    assert [item.recording.transcript for item in made.training_items.order_by("position")] == ["first", "second"]
    assert made.jobs.get().state == "queued"
    assert kinds()[-1] == "voice.requested"


def test_recordings_that_did_not_pass_train_nothing(owner, under) -> None:
    Recording.objects.update(state="refused")
    with pytest.raises(errors.NoRecordings):
        services.request_voice(actor=Actor.of(owner), consent_id=under.id, name="Mine", language="en")
    assert not Voice.objects.exists()
    assert not TrainingItem.objects.exists()


def test_one_name_under_one_consent(owner, under, voice) -> None:
    with pytest.raises(errors.VoiceExists):
        services.request_voice(actor=Actor.of(owner), consent_id=under.id, name=voice.name, language="en")
    assert Voice.objects.count() == 1


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_voice_needs_a_name(owner, under, name) -> None:
    with pytest.raises(Refused):
        services.request_voice(actor=Actor.of(owner), consent_id=under.id, name=name, language="en")


def test_a_held_text_waits_takes_nothing_and_goes_on_after_a_yes(person, voice, under) -> None:
    other = person()
    granted = make.licence(under, other, cap=500)
    request = ask(other, voice, make.HELD_TEXT)
    granted.refresh_from_db()
    assert (job_of(request).state, granted.characters_reserved) == ("held", 0)
    assert claim(request.job_id) is None
    decide(person(role="moderator"), request, "allow")
    request.refresh_from_db()
    granted.refresh_from_db()
    assert job_of(request).state == "queued"
    assert request.reserved == granted.characters_reserved == len(make.HELD_TEXT)


def test_a_moderators_no_ends_the_request_and_forgets_the_text(person, owner, voice) -> None:
    request = ask(owner, voice, make.HELD_TEXT)
    decide(person(role="moderator"), request, "refuse")
    request.refresh_from_db()
    job = job_of(request)
    assert (job.state, job.error_code, request.text) == ("refused", "policy_refused", "")
    with pytest.raises(VouchError):
        ask(owner, voice, make.HELD_TEXT)


def test_resuming_before_the_decision_changes_nothing(owner, voice) -> None:
    request = ask(owner, voice, make.HELD_TEXT)
    assert services.resume_held(actor=make.SYSTEM, case_id=request.case_ref) == []
    assert job_of(request).state == "held"


def test_a_yes_is_worth_nothing_when_the_consent_ended_meanwhile(person, owner, voice) -> None:
    request = ask(owner, voice, make.HELD_TEXT)
    Consent.objects.filter(id=voice.consent_id).update(state="withdrawn", ended_at=now(), ended_leaf=0)
    decide(person(role="moderator"), request, "allow")
    assert (job_of(request).state, job_of(request).error_code) == ("refused", "consent_withdrawn")


def test_a_failed_request_gives_its_characters_back_and_can_be_tried_again(person, voice, under) -> None:
    other = person()
    granted = make.licence(under, other, cap=100)
    request = ask(other, voice)
    fail(job_of(request))
    granted.refresh_from_db()
    assert (job_of(request).state, job_of(request).error_code) == ("failed", "broke")
    assert (granted.characters_reserved, granted.characters_used) == (0, 0)
    services.retry_job(actor=Actor.of(other), job_id=request.job_id)
    granted.refresh_from_db()
    assert granted.characters_reserved == len(make.TEXT)
    assert job_of(request).state == "queued"


def test_only_failed_jobs_of_ones_own_are_tried_again(person, owner, voice) -> None:
    request = ask(owner, voice)
    with pytest.raises(errors.IllegalTransition):
        services.retry_job(actor=Actor.of(owner), job_id=request.job_id)
    fail(job_of(request))
    with pytest.raises(NotFound):
        services.retry_job(actor=Actor.of(person()), job_id=request.job_id)
    assert job_of(request).state == "failed"


def test_a_forgotten_text_cannot_be_tried_again(owner, voice) -> None:
    request = ask(owner, voice)
    fail(job_of(request))
    SpeechRequest.objects.update(text="")
    with pytest.raises(errors.JobForgotten):
        services.retry_job(actor=Actor.of(owner), job_id=request.job_id)


def test_a_failed_training_fails_the_voice_and_a_retry_brings_it_back(owner, under) -> None:
    made = services.request_voice(actor=Actor.of(owner), consent_id=under.id, name="Mine", language="en")
    job = made.jobs.get()
    fail(job)
    made.refresh_from_db()
    assert made.state == "failed"
    services.retry_job(actor=Actor.of(owner), job_id=job.id)
    made.refresh_from_db()
    assert (made.state, made.jobs.get().state) == ("training", "queued")


def test_a_retry_asks_the_gate(owner, voice) -> None:
    request = ask(owner, voice)
    fail(job_of(request))
    Consent.objects.update(state="withdrawn", ended_at=now(), ended_leaf=0)
    with pytest.raises(errors.ConsentWithdrawn):
        services.retry_job(actor=Actor.of(owner), job_id=request.job_id)
    assert job_of(request).state == "failed"
    assert kinds()[-1] == "clearance.refused"


def test_a_wrong_run_can_end_nothing(owner, voice) -> None:
    request = ask(owner, voice)
    first = claim(request.job_id)
    assert first is not None
    Job.objects.filter(id=request.job_id).update(run=voice.id)
    assert jobs.end_run(job_id=request.job_id, run=first.token, to=JobState.FAILED, error=Broken()) is False
    assert job_of(request).state == "running"


def test_the_end_of_a_consent_ends_jobs_voices_and_outputs_and_says_so(person, owner, voice, under) -> None:
    other = person()
    granted = make.licence(under, other, cap=100)
    waiting, working, asked = ask(owner, voice, make.HELD_TEXT), ask(owner, voice), ask(other, voice)
    claim(working.job_id)
    failed = ask(owner, voice, "Another text.")
    fail(job_of(failed))
    with transaction.atomic():
        cancelled = services.cancel_jobs_for_consent(consent_id=under.id, actor=make.SYSTEM)
        destroyed = services.destroy_voices_for_consent(consent_id=under.id, actor=make.SYSTEM)
    assert set(cancelled) == {r.job_id for r in (waiting, working, asked, failed)}
    assert destroyed == [voice.id]
    for request in (waiting, working, asked, failed):
        request.refresh_from_db()
        assert (job_of(request).state, job_of(request).error_code) == ("cancelled", "consent_withdrawn")
        assert (request.text, request.reserved) == ("", 0)
    granted.refresh_from_db()
    assert granted.characters_reserved == 0
    voice.refresh_from_db()
    voice.key.refresh_from_db()
    assert (voice.state, voice.key.state) == ("destroyed", "destroyed")
    log = kinds()
    assert log.count("output.failed") == 5
    assert log[-1] == "voice.destroyed"
    assert services.cancel_jobs_for_consent(consent_id=under.id, actor=make.SYSTEM) == []
    assert services.destroy_voices_for_consent(consent_id=under.id, actor=make.SYSTEM) == []


def test_a_destroyed_voice_opens_for_nobody(owner, voice) -> None:
    from cloning import gate

    token = gate.clear_speech(actor=make.SYSTEM, request=ask(owner, voice))
    services.destroy_voices_for_consent(consent_id=voice.consent_id, actor=make.SYSTEM)
    with pytest.raises(KeyDestroyed):
        vault.open_voice(
            clearance=token,
            sealed_object=voice.weights,
            digest=SpeechRequest.objects.get().text_digest,
            actor=make.SYSTEM,
        )


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (Job, {"state": "running"}),
        (Job, {"state": "failed"}),
        (Job, {"state": "sleeping"}),
        (Job, {"progress": 1.5}),
        (Voice, {"weights": None}),
        (Voice, {"state": "destroyed"}),
        (SpeechRequest, {"reserved": 3}),
        (SpeechRequest, {"seed": -1}),
        (SpeechRequest, {"container": "exe"}),
    ],
)
def test_the_database_itself_refuses_impossible_rows(owner, voice, model, change) -> None:
    ask(owner, voice)
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(**change)


def test_there_is_no_output_without_a_worker(owner, voice) -> None:
    ask(owner, voice)
    assert not Output.objects.exists()


def test_seeds_are_kept_and_bounded(owner, voice) -> None:
    request = services.request_speech(
        actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en", seed=7, container="flac"
    )
    assert (request.seed, request.container) == (7, "flac")
    with pytest.raises(Refused):
        services.request_speech(actor=Actor.of(owner), voice_id=voice.id, text="Hello.", language="en", seed=2**31)


def test_leaves_of_a_rehearsal_say_so(owner, voice) -> None:
    ask(owner, voice)
    body = json.loads(bytes(Leaf.objects.filter(kind="speech.requested").get().body))
    assert body["rehearsal"] is True
