"""Taking a job, staying alive, reporting, and what happens when a worker or a message is lost."""

import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.utils import OperationalError

from cloning import recovery, services, tasks
from cloning.models import Job, SpeechRequest, TraceJob
from cloning.worker import LOST_AFTER, Heart, Reporter, Run, RunLost, claim
from foundation.clock import now
from foundation.identity.actors import Actor
from tests.cloning import factories as make


def asked(person) -> SpeechRequest:
    owner = person()
    voice = make.voice(owner, make.consent(owner))
    return services.request_speech(actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en")


def silence(age: timedelta) -> None:
    Job.objects.filter(kind="speak").update(heartbeat_at=F("heartbeat_at") - age)


@pytest.mark.django_db
def test_a_job_is_taken_once(person) -> None:
    request = asked(person)
    run = claim(request.job_id)
    assert run is not None
    assert claim(request.job_id) is None
    job = Job.objects.get(id=request.job_id)
    assert (job.state, job.run, job.attempts) == ("running", run.token, 1)
    assert claim(uuid.uuid4()) is None


@pytest.mark.django_db
def test_a_run_that_was_taken_away_can_write_nothing(person) -> None:
    request = asked(person)
    run = claim(request.job_id)
    assert run is not None
    with pytest.raises(RunLost):
        Run(request.job_id, uuid.uuid4()).write(stage="forged")
    run.write(stage="speaking", progress=0.5)
    Job.objects.filter(id=request.job_id).update(state="cancelled", run=None, error_code="consent_withdrawn")
    with pytest.raises(RunLost):
        run.write(progress=1.0)
    assert Job.objects.get(id=request.job_id).progress == 0.5


@pytest.mark.django_db
def test_progress_is_written_once_a_second_and_at_each_new_stage(person) -> None:
    request = asked(person)
    run = claim(request.job_id)
    assert run is not None
    moment = 100.0
    report = Reporter(run, clock=lambda: moment)

    def seen() -> tuple[str, float]:
        return Job.objects.values_list("stage", "progress").get(id=request.job_id)

    report("speaking", 0.1)
    report("speaking", 0.2)
    assert seen() == ("speaking", 0.1)
    moment += 1.0
    report("speaking", 0.3)
    assert seen() == ("speaking", 0.3)
    report("sealing", 7.0)
    assert seen() == ("sealing", 1.0)


@pytest.mark.django_db(transaction=True)
def test_the_heart_beats_while_the_worker_computes_and_feels_the_loss_of_its_run(person) -> None:
    request = asked(person)
    run = claim(request.job_id)
    assert run is not None
    before = Job.objects.get(id=request.job_id).heartbeat_at
    with Heart(run, every=0.02) as heart:
        assert not heart.lost.wait(0.2)
        assert Job.objects.get(id=request.job_id).heartbeat_at > before
        Job.objects.filter(id=request.job_id).update(run=uuid.uuid4())
        assert heart.lost.wait(5)


@pytest.mark.django_db
def test_a_silent_job_is_queued_again_and_fails_after_three_workers(person) -> None:
    request = asked(person)
    for attempt in (1, 2):
        assert claim(request.job_id) is not None
        assert recovery.recover() == 0
        silence(LOST_AFTER + timedelta(seconds=1))
        assert recovery.recover() == 1
        job = Job.objects.get(id=request.job_id)
        assert (job.state, job.attempts, job.run) == ("queued", attempt, None)
    assert claim(request.job_id) is not None
    silence(LOST_AFTER + timedelta(seconds=1))
    assert recovery.recover() == 1
    job = Job.objects.get(id=request.job_id)
    assert (job.state, job.error_code) == ("failed", "worker_lost")


@pytest.mark.django_db
def test_a_message_that_was_lost_is_sent_again(person, django_capture_on_commit_callbacks) -> None:
    asked(person)
    assert recovery.recover() == 0
    silence(recovery.SEND_AGAIN_AFTER + timedelta(seconds=1))
    with django_capture_on_commit_callbacks() as sent:
        assert recovery.recover() == 1
        assert recovery.recover() == 0
    assert len(sent) == 1


@pytest.mark.django_db
def test_a_decision_whose_requests_were_not_resumed_is_caught_up(person) -> None:
    owner = person()
    voice = make.voice(owner, make.consent(owner))
    request = services.request_speech(actor=Actor.of(owner), voice_id=voice.id, text=make.HELD_TEXT, language="en")
    assert recovery.recover() == 0
    make.decided(request, by=person(role="moderator"))
    assert recovery.recover() == 1
    assert Job.objects.get(id=request.job_id).state == "queued"


@pytest.mark.django_db
def test_the_text_of_a_failed_request_is_forgotten_after_a_day(person) -> None:
    request = asked(person)
    Job.objects.filter(id=request.job_id).update(state="failed", error_code="broke", finished_at=now())
    recovery.recover()
    request.refresh_from_db()
    assert request.text == make.TEXT
    Job.objects.filter(id=request.job_id).update(finished_at=now() - recovery.FAILED_TEXT_KEPT - timedelta(seconds=1))
    recovery.recover()
    request.refresh_from_db()
    assert request.text == ""


@pytest.mark.django_db
def test_a_trace_nobody_answered_ends_with_a_reason() -> None:
    old = TraceJob.objects.create(created_at=now() - timedelta(hours=2))
    fresh = TraceJob.objects.create()
    recovery.recover()
    old.refresh_from_db()
    fresh.refresh_from_db()
    assert (old.state, old.error_code, fresh.state) == ("failed", "not_answered", "queued")


@pytest.mark.django_db(transaction=True)
def test_a_voice_that_is_no_voice_fails_the_job_with_a_code_and_publishes_nothing(person) -> None:
    request = asked(person)
    tasks.speak.run(str(request.job_id))
    job = Job.objects.get(id=request.job_id)
    assert (job.state, job.error_code) == ("failed", "wrong_size")
    assert not hasattr(SpeechRequest.objects.get(id=request.id), "output")


@pytest.mark.django_db(transaction=True)
def test_an_unforeseen_error_ends_the_job_and_its_message_stays_out_of_the_logs(person, caplog) -> None:
    request = asked(person)

    def work(run: Run, heart: Heart) -> None:
        raise ValueError(f"cannot say: {make.TEXT}")

    tasks._run(request.job_id, work)
    job = Job.objects.get(id=request.job_id)
    assert (job.state, job.error_code) == ("failed", "internal_error")
    assert "ValueError" in caplog.text
    assert make.TEXT not in caplog.text + job.error_detail


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_leaves_the_job_to_the_recovery(person) -> None:
    request = asked(person)

    def work(run: Run, heart: Heart) -> None:
        raise OperationalError("server closed the connection")

    with pytest.raises(OperationalError):
        tasks._run(request.job_id, work)
    assert Job.objects.get(id=request.job_id).state == "running"
    silence(LOST_AFTER + timedelta(seconds=1))
    assert recovery.recover() == 1
