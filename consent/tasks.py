"""Celery tasks of this room. They take ids, are safe to run twice, and keep the heavy imports inside."""

from uuid import UUID

from celery import shared_task

from consent import ceremony, examination, services
from foundation.vault.errors import KeyDestroyed, PastDeadline


@shared_task(name="consent.examine_challenge", acks_late=True)
def examine_challenge(examination_id: str) -> None:
    """Listens to the answer of a challenge and writes the verdict down."""
    _examine(UUID(examination_id))


@shared_task(name="consent.examine_recording", acks_late=True)
def examine_recording(examination_id: str) -> None:
    """Listens to a training recording and writes the verdict down."""
    _examine(UUID(examination_id))


@shared_task(name="consent.tidy", acks_late=True)
def tidy() -> dict[str, int]:
    """Ends challenges nobody answered and consents past their term; sends lost examinations again."""
    return {
        "challenges": ceremony.expire_overdue(),
        "consents": services.expire_consents(),
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
    examination.decide(
        examination_id,
        evidence=findings.evidence,
        verdict=findings.verdict,
        reason=findings.reason,
        advice=findings.advice,
        template=findings.template,
        seconds=findings.seconds,
    )
