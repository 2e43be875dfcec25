"""Notice by contract, safety stop at once, and what becomes of recordings: the status lists follow."""

import threading
from datetime import timedelta

import pytest

from cloning import errors, recovery, revocation, selectors, services
from cloning.models import Output
from cloning.states import OutputState
from consent.models import Licence
from foundation import clock
from foundation.audit.models import Leaf
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor
from tests.cloning import factories as make
from tests.marketplace.factories import ready_voice, used
from watermark.services import issue_mark

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


def made(owner, customer, **scope):
    """A licence with one recording made under it, its mark issued."""
    voice = ready_voice(owner, rehearsal=True)
    licence = make.licence(voice.consent, customer, scope=scope)
    used(voice, customer, characters=5, licence=licence, mark=77)
    output = Output.objects.get(licence=licence)
    issue_mark(output_ref=str(output.id), rehearsal=True)
    return voice, licence, output


def ask(who, voice):
    return services.request_speech(actor=Actor.of(who), voice_id=voice.id, text=make.TEXT, language="en")


@pytest.mark.parametrize(
    ("survival", "state", "revoked", "noted"),
    [("keep", "live", 0, 0), ("relabel", "relabelled", 0, 1), ("take_down", "revoked", 1, 0)],
)
def test_after_notice_the_licence_ends_and_its_recordings_follow_their_clause(
    owner, customer, survival, state, revoked, noted
):
    voice, licence, output = made(owner, customer, notice_days=3, survival=survival)
    revocation.give_notice(actor=Actor.of(owner), licence_id=licence.id)
    licence.refresh_from_db()
    assert licence.state == "active"
    assert ask(customer, voice).job.state == "queued"
    assert recovery.recover() == 0
    clock.move_forward(timedelta(days=3))
    with pytest.raises(errors.NoLicence):
        ask(customer, voice)
    assert revocation.end_due() == 1
    assert revocation.end_due() == 0
    licence.refresh_from_db()
    output.refresh_from_db()
    assert (licence.state, licence.ended_reason, output.state) == ("ended", "notice", state)
    assert (len(selectors.revoked_positions()), len(selectors.relabelled_positions())) == (revoked, noted)
    if state == OutputState.REVOKED:
        with pytest.raises(errors.OutputRevoked):
            selectors.playable_output(actor=Actor.of(customer), output_id=output.id)
    else:
        assert selectors.playable_output(actor=Actor.of(customer), output_id=output.id) == output


def test_a_notice_is_given_once_and_never_makes_a_licence_longer(owner, customer):
    _, licence, _ = made(owner, customer, notice_days=700)
    before = licence.valid_until
    revocation.give_notice(actor=Actor.of(owner), licence_id=licence.id)
    revocation.give_notice(actor=Actor.of(owner), licence_id=licence.id)
    licence.refresh_from_db()
    assert licence.valid_until == before
    assert Leaf.objects.filter(kind="licence.notice").count() == 1


def test_without_a_notice_period_it_ends_at_once(owner, customer):
    voice, licence, _ = made(owner, customer)
    assert revocation.give_notice(actor=Actor.of(owner), licence_id=licence.id).state == "ended"
    with pytest.raises(revocation.NotInForce):
        revocation.give_notice(actor=Actor.of(owner), licence_id=licence.id)
    with pytest.raises(errors.NoLicence):
        ask(customer, voice)


def test_the_safety_stop_overrides_the_notice_and_takes_running_work_away(owner, customer):
    voice, licence, output = made(owner, customer, notice_days=700, survival="take_down")
    running = ask(customer, voice)
    stopped = revocation.stop(actor=Actor.of(owner), licence_id=licence.id, reason="It is used for fraud.")
    running.job.refresh_from_db()
    output.refresh_from_db()
    stopped.refresh_from_db()
    assert (stopped.state, stopped.ended_reason, stopped.characters_reserved) == ("ended", "safety_stop", 0)
    assert (running.job.state, running.job.error_code, output.state) == ("cancelled", "licence_scope", "revoked")
    body = bytes(Leaf.objects.get(kind="licence.stopped").body)
    assert b"fraud" not in body
    assert len(selectors.revoked_positions()) == 1


def test_a_moderator_may_stop_it_and_nobody_else_may_end_it(owner, customer, person):
    _, licence, _ = made(owner, customer)
    for nobody in (customer, person(), person(role="operator")):
        with pytest.raises(NotFound):
            revocation.stop(actor=Actor.of(nobody), licence_id=licence.id, reason="No.")
        with pytest.raises(NotFound):
            revocation.give_notice(actor=Actor.of(nobody), licence_id=licence.id)
    with pytest.raises(NotFound):
        revocation.give_notice(actor=Actor.of(person(role="moderator")), licence_id=licence.id)
    with pytest.raises(Refused):
        revocation.stop(actor=Actor.of(owner), licence_id=licence.id, reason="  ")
    assert Licence.objects.get().state == "active"
    assert revocation.stop(actor=Actor.of(person(role="moderator")), licence_id=licence.id, reason="Harm.").stop_salt


@pytest.mark.django_db(transaction=True)
def test_of_a_stop_and_a_request_at_once_one_comes_first(owner, customer):
    """Whatever the order: after both nothing of the licence is reserved or waiting."""
    from django.db import connection

    voice, licence, _ = made(owner, customer)

    def request():
        try:
            ask(customer, voice)
        except errors.NoLicence:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    revocation.stop(actor=Actor.of(owner), licence_id=licence.id, reason="Now.")
    for thread in threads:
        thread.join()
    licence.refresh_from_db()
    assert (licence.state, licence.characters_reserved, licence.outputs_reserved) == ("ended", 0, 0)
