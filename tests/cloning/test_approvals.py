"""Consent to this sentence: a text waits for the owner of the voice, and only the owner's yes lets it through."""

from datetime import timedelta

import pytest

from cloning import approvals, errors, gate, recovery, services
from cloning.models import SpeechRequest, TextApproval
from foundation import clock
from foundation.audit.models import Leaf
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db
SENSITIVE = "Your prescription is ready at the counter."


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def voice(owner, customer):
    voice = make.voice(owner, make.consent(owner))
    make.licence(voice.consent, customer, scope={"moderation": "sensitive"})
    return voice


def ask(who, voice, text=SENSITIVE) -> SpeechRequest:
    return services.request_speech(actor=Actor.of(who), voice_id=voice.id, text=text, language="en")


def answer(owner, approve) -> TextApproval:
    found = approvals.decide(
        actor=Actor.of(owner), approval_id=approvals.waiting(actor=Actor.of(owner)).get().id, approve=approve
    )
    services.resume_asked(actor=Actor.of(owner), approval_id=found.id)
    return found


def state(request) -> tuple[str, str]:
    request.job.refresh_from_db()
    return request.job.state, request.job.error_code


def test_a_sensitive_text_waits_and_the_owner_s_yes_queues_exactly_it(owner, customer, voice):
    request = ask(customer, voice)
    assert state(request) == ("held", "")
    assert request.approval.text == SENSITIVE
    assert request.licence.characters_reserved == 0
    found = answer(owner, approve=True)
    assert (state(request)[0], found.text) == ("queued", "")
    assert gate.clear_speech(actor=make.SYSTEM, request=SpeechRequest.objects.get(id=request.id))
    assert ask(customer, voice).job.state == "queued"
    assert ask(customer, voice, text="Another prescription.").job.state == "held"
    assert [leaf.kind for leaf in Leaf.objects.filter(kind__startswith="speech.a")] == ["speech.approved"]


def test_the_owner_s_no_ends_it_and_asking_again_is_no_way_round(owner, customer, voice):
    request = ask(customer, voice)
    answer(owner, approve=False)
    assert state(request) == ("refused", "owner_refused")
    with pytest.raises(errors.OwnerRefused):
        ask(customer, voice)


def test_an_ordinary_text_is_not_asked_about_and_own_use_never_is(owner, customer, voice):
    assert ask(customer, voice, text=make.TEXT).job.state == "queued"
    assert ask(owner, voice).job.state == "queued"
    assert not TextApproval.objects.exists()


def test_the_policy_may_ask_the_owner_whatever_the_licence_says(owner, customer, person):
    voice = make.voice(owner, make.consent(owner))
    make.licence(voice.consent, customer, scope={"moderation": "standard"})
    request = ask(customer, voice, text="Please vote for our candidate in the election on Sunday.")
    assert state(request) == ("held", "")
    answer(owner, approve=True)
    assert state(request)[0] == "queued"
    assert ask(owner, voice, text="Please vote for our candidate in the election on Sunday.").job.state == "queued"


def test_an_owner_may_want_to_read_everything(owner, person):
    customer, voice = person(), make.voice(owner, make.consent(owner))
    make.licence(voice.consent, customer, scope={"moderation": "every"})
    assert ask(customer, voice, text=make.TEXT).job.state == "held"


def test_nobody_but_the_owner_sees_or_decides(owner, customer, voice, person):
    request = ask(customer, voice)
    for nobody in (customer, person(), person(role="moderator")):
        assert not approvals.waiting(actor=Actor.of(nobody)).exists()
        with pytest.raises(NotFound):
            approvals.decide(actor=Actor.of(nobody), approval_id=request.approval_id, approve=True)
    assert state(request) == ("held", "")


def test_a_worker_gets_no_clearance_before_the_owner_s_yes(customer, voice):
    request = ask(customer, voice)
    with pytest.raises(errors.HeldForOwner):
        gate.clear_speech(actor=make.SYSTEM, request=request)


def test_a_word_is_given_once_and_silence_is_a_no(owner, customer, voice):
    request = ask(customer, voice)
    clock.move_forward(approvals.ASKED_FOR)
    with pytest.raises(errors.IllegalTransition):
        approvals.decide(actor=Actor.of(owner), approval_id=request.approval_id, approve=True)
    recovery.recover()
    request.approval.refresh_from_db()
    assert (request.approval.state, request.approval.text) == ("lapsed", "")
    assert state(request)[0] == "refused"


def test_a_decision_nobody_followed_up_is_followed_up(owner, customer, voice):
    request = ask(customer, voice)
    approvals.decide(actor=Actor.of(owner), approval_id=request.approval_id, approve=True)
    assert state(request)[0] == "held"
    recovery.recover()
    assert state(request)[0] == "queued"
    with pytest.raises(errors.IllegalTransition):
        approvals.decide(actor=Actor.of(owner), approval_id=request.approval_id, approve=False)


def test_two_requests_for_one_text_wait_for_one_word(owner, customer, voice):
    first, second = ask(customer, voice), ask(customer, voice)
    assert first.approval_id == second.approval_id
    answer(owner, approve=True)
    assert state(first)[0] == state(second)[0] == "queued"
    assert clock.now() < TextApproval.objects.get().expires_at <= clock.now() + timedelta(days=7)
