"""Celery tasks of this room. They take ids, are safe to run twice, and keep the heavy imports inside."""

import threading
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_process_init

from consent import ceremony, examination, offers, recordings, services
from foundation.vault.errors import KeyDestroyed, PastDeadline

QUEUE: Final = "cpu"
_listens = threading.Event()


@celeryd_after_setup.connect
def _know_the_queues(sender: str, instance: Any, **kwargs: Any) -> None:
    if QUEUE in instance.app.amqp.queues.consume_from:
        _listens.set()


@worker_process_init.connect
def _warm(**kwargs: Any) -> None:
    """A worker that examines loads its models before anybody waits for them; beside its start, which Celery times."""
    if _listens.is_set():
        threading.Thread(target=_load_models, name="warm", daemon=True).start()


def _load_models() -> None:
    from consent.biometrics.warm import warm

    warm()


@shared_task(name="consent.examine_challenge", acks_late=True)
def examine_challenge(examination_id: str) -> None:
    """Listens to the answer of a challenge and writes the verdict down."""
    _examine(UUID(examination_id))


@shared_task(name="consent.examine_recording", acks_late=True)
def examine_recording(examination_id: str) -> None:
    """Listens to a training recording and writes the verdict down."""
    _examine(UUID(examination_id))


@shared_task(name="consent.protect_represented", acks_late=True)
def protect_represented(review_id: str, recording_id: str) -> None:
    """Listens to what a representative offered and puts the voice under protection."""
    from consent import protection
    from consent.errors import RecordingNotPassed, ReviewNotApproved

    with suppress(RecordingNotPassed, ReviewNotApproved, PastDeadline, KeyDestroyed):
        protection.listen_and_forbid(review_id=UUID(review_id), recording_id=UUID(recording_id))


@shared_task(name="consent.tidy", acks_late=True)
def tidy() -> dict[str, int]:
    """Ends challenges nobody answered, and consents and offers past their time; settles what moderators decided; sends
    lost examinations again; forgets addresses, and the transcripts of destroyed recordings."""
    return {
        "challenges": ceremony.expire_overdue(),
        "addresses": ceremony.forget_addresses(),
        "transcripts": recordings.forget_transcripts(),
        "held": examination.settle_held(),
        "consents": services.expire_consents(),
        "offers": offers.lapse(),
        "examinations": examination.send_lost_again(),
    }


def _examine(examination_id: UUID) -> None:
    from consent import examiners

    found = examination.begin(examination_id)
    if found is None:
        return
    try:
        findings = examiners.examine(found)
    except (PastDeadline, KeyDestroyed) as error:
        examination.fail(examination_id, reason=error.code)
        return
    except Exception:
        examination.fail(examination_id, reason="examiner_failed")
        raise
    if findings.resembles and findings.template is not None:
        examination.hold(
            examination_id,
            evidence=findings.evidence,
            found_like=findings.resembles,
            template=findings.template,
            fingerprint=findings.fingerprint,
        )
        return
    examination.decide(
        examination_id,
        evidence=findings.evidence,
        verdict=findings.verdict,
        reason=findings.reason,
        advice=findings.advice,
        template=findings.template,
        fingerprint=findings.fingerprint,
        seconds=findings.seconds,
        found_like=findings.resembles,
    )
