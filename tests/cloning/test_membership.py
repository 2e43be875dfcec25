"""Tiers by account: the trial, the rates that are sealed, and the free quota."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from cloning import errors, jobs, membership, services, speaking, texts
from cloning.account_models import Membership, Quota
from cloning.models import Job, SpeechRequest
from foundation import clock
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor, MissingScope
from tests.cloning import factories as make

LINE = "Twenty letters here."


@pytest.fixture(autouse=True)
def by_account(settings):
    settings.VOUCH_TIER, settings.VOUCH_TRIAL_DAYS, settings.VOUCH_FREE_CHARACTERS = "accounts", 14, 50


@pytest.fixture
def owner(person):
    return person()


def ask(person, voice, **how):
    return services.request_speech(actor=Actor.of(person), voice_id=voice.id, text=LINE, language="en", **how)


@pytest.mark.django_db
def test_a_trial_is_had_once_and_ends_by_itself(owner, person):
    assert (membership.tier_of(owner.id), membership.trial_left(owner.id)) == ("free", 14)
    with pytest.raises(MissingScope):
        membership.begin_trial(actor=Actor.of(owner, frozenset({"market:read"})))
    membership.begin_trial(actor=Actor.of(owner))
    assert (membership.tier_of(owner.id), membership.trial_left(owner.id)) == ("member", 0)
    assert membership.tier_of(person().id) == membership.tier_of(None) == "free"
    with pytest.raises(errors.MemberAlready):
        membership.begin_trial(actor=Actor.of(owner))
    clock.move_forward(timedelta(days=14))
    assert (membership.tier_of(owner.id), membership.covered_until(owner.id)) == ("free", None)
    with pytest.raises(errors.TrialOver):
        membership.begin_trial(actor=Actor.of(owner))
    first = Membership.objects.get()
    with pytest.raises(IntegrityError, match="membership_one_trial"), transaction.atomic():
        Membership.objects.create(person=owner, kind="trial", begins_at=first.begins_at, ends_at=first.ends_at)
    assert Leaf.objects.filter(kind="membership.begun").count() == 1


@pytest.mark.django_db
def test_paid_months_follow_what_a_person_has(owner):
    trial = membership.begin_trial(actor=Actor.of(owner))
    paid = membership.grant(person_id=owner.id, days=30, actor=make.SYSTEM)
    assert (paid.begins_at, membership.covered_until(owner.id)) == (trial.ends_at, paid.ends_at)
    for _ in range(2):
        membership.end(membership=paid, reason="refunded", actor=make.SYSTEM)
    assert membership.covered_until(owner.id) == trial.ends_at
    assert Leaf.objects.filter(kind="membership.ended").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("everybody", "rate"), [("free", 24_000), ("member", 32_000)])
def test_the_deployments_tier_holds_for_everybody(settings, owner, everybody, rate):
    settings.VOUCH_TIER = everybody
    assert texts.check_rate(None, person_id=owner.id) == rate
    with pytest.raises(errors.TrialOver):
        membership.begin_trial(actor=Actor.of(owner))


@pytest.mark.django_db
def test_the_rate_is_the_persons_own_and_asked_again_at_the_seal(owner):
    voice = make.voice(owner, make.consent(owner))
    assert ask(owner, voice).rate == 24_000
    with pytest.raises(errors.RateUnknown, match="Members have more"):
        ask(owner, voice, rate=48_000)
    membership.begin_trial(actor=Actor.of(owner))
    request = ask(owner, voice, rate=48_000)
    membership.check_delivery(request.rate, person_id=owner.id)
    # What was asked for at the free rate before is still delivered.
    membership.check_delivery(24_000, person_id=owner.id)
    clock.move_forward(timedelta(days=14))
    with pytest.raises(errors.RateUnknown, match="has ended"):
        speaking._seal(None, request, None, request.id)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_the_free_quota_is_counted_settled_given_back_and_stops_exactly(owner):
    voice = make.voice(owner, make.consent(owner))
    first, second = ask(owner, voice), ask(owner, voice)
    assert membership.allowance(owner.id).left == 10
    with pytest.raises(errors.QuotaUsed, match="quota: 40 of 50 characters used this month; this text needs 20"):
        ask(owner, voice)
    assert SpeechRequest.objects.count() == 2
    assert b"quota_used" in bytes(Leaf.objects.filter(kind="clearance.refused").latest("index").body)
    with transaction.atomic():
        jobs.settle(first, seconds=1.0)
        jobs.release(second)
        jobs.release(second)
    assert (Quota.objects.get().used, Quota.objects.get().reserved) == (20, 0)
    membership.begin_trial(actor=Actor.of(owner))
    for _ in range(3):
        ask(owner, voice)
    assert (membership.allowance(owner.id).left, Quota.objects.get().used) == (None, 20)


@pytest.mark.django_db
def test_speech_under_a_licence_does_not_touch_the_free_quota(owner, person):
    customer, under = person(), make.consent(owner)
    voice = make.voice(owner, under)
    make.licence(under, customer)
    assert ask(customer, voice).quota_id is None
    assert membership.allowance(customer.id).left == 50


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_pass_the_quota(owner):
    barrier, answers = threading.Barrier(8), []

    def take():
        barrier.wait()
        try:
            with transaction.atomic():
                membership.reserve(person_id=owner.id, characters=20)
            answers.append("yes")
        except errors.QuotaUsed:
            answers.append("no")
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (answers.count("yes"), Quota.objects.get().reserved, Job.objects.count()) == (2, 40, 0)
