"""Many people at once: one case each time, one holder."""

import threading

import pytest
from django.db import connection

from foundation.identity.actors import Actor
from safety import errors, services
from safety.models import Case, Report
from tests.safety.desk import VOICE, hold

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_many_who_claim_at_once_one_gets_the_case(person):
    case = hold(person())
    actors = [Actor.of(person(role="moderator")) for _ in range(6)]
    won, lost = together(
        [lambda actor=actor: services.claim_case(actor=actor, case_id=case.id, interested=()) for actor in actors]
    )
    assert (len(won), len(lost)) == (1, 5)
    assert all(isinstance(error, errors.CaseClaimed) for error in lost)


def test_many_reports_at_once_make_one_case(person):
    actors = [Actor.of(person()) for _ in range(6)]
    won, lost = together(
        [
            lambda actor=actor: services.report(actor=actor, subject_kind="voice", subject_ref=VOICE, text="Odd.")
            for actor in actors
        ]
    )
    assert (len(won), lost) == (6, [])
    assert (Case.objects.count(), Report.objects.count()) == (1, 6)


def test_the_same_text_held_many_times_at_once_makes_one_case(person):
    customer = person()
    won, lost = together([lambda: hold(customer)] * 5)
    assert lost == []
    assert len({case.id for case in won}) == 1


def together(calls, patience=30):
    """Runs the calls at once, each on a connection of its own; returns (results, errors)."""
    start, won, lost = threading.Barrier(len(calls)), [], []

    def run(call):
        try:
            start.wait(timeout=10)
            won.append(call())
        except Exception as error:  # noqa: BLE001 (collected and asserted on)
            lost.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=patience)
    return won, lost
