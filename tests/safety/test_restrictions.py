"""Restrictions: what the gate reads, made and lifted by moderators."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from foundation.errors import NotAllowed, Refused
from foundation.identity.actors import Actor
from safety import errors, selectors, services
from safety.models import Case, Restriction, Statement
from safety.service_levels import level
from tests.safety.desk import DIGEST, VOICE, decide, hold, kinds, reported, settled

pytestmark = pytest.mark.django_db


def restrict(person, kind="voice", ref=VOICE, effect="pause"):
    return services.restrict(
        actor=Actor.of(person), subject_kind=kind, subject_ref=ref, effect=effect, reason="Harm.", clause="harm.any"
    )


def test_the_gates_question_is_one_query(person, django_assert_num_queries):
    moderator = person(role="moderator")
    paused = restrict(moderator)
    blocked = restrict(moderator, "person", str(person().id), "block")
    subjects = [("voice", VOICE), ("person", blocked.subject_ref), ("person", VOICE), ("text", DIGEST), ("output", "x")]
    with django_assert_num_queries(1):
        assert selectors.active_restrictions(subjects=subjects) == [paused, blocked]
    with django_assert_num_queries(0):
        assert selectors.active_restrictions(subjects=[]) == []


def test_a_misspelt_subject_kind_does_not_read_as_unrestricted():
    with pytest.raises(errors.UnknownSubject):
        selectors.active_restrictions(subjects=[("voices", VOICE)])


def test_a_restriction_stands_once_can_be_lifted_once_and_made_again(person):
    moderator = person(role="moderator")
    made = restrict(moderator)
    with pytest.raises(errors.AlreadyRestricted):
        restrict(moderator)
    services.lift(actor=Actor.of(moderator), restriction_id=made.id, reason="A mistake.", interested=())
    assert selectors.active_restrictions(subjects=[("voice", VOICE)]) == []
    with pytest.raises(errors.AlreadyLifted):
        services.lift(actor=Actor.of(moderator), restriction_id=made.id, reason="A mistake.", interested=())
    assert restrict(moderator).id != made.id
    assert kinds().count("restriction.made") == 2
    assert kinds().count("restriction.lifted") == 1


def test_restrictions_are_never_deleted_and_never_revived(person):
    made = restrict(person(role="moderator"))
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        Restriction.objects.filter(id=made.id).delete()
    services.lift(actor=Actor.of(person(role="moderator")), restriction_id=made.id, reason="A mistake.", interested=())
    with pytest.raises(IntegrityError, match="never revived"), transaction.atomic():
        Restriction.objects.filter(id=made.id).update(state="active", lifted_at=None, lift_reason="")


def test_a_subject_knows_only_its_own_effect(person):
    with pytest.raises(Refused) as refusal:
        restrict(person(role="moderator"), effect="block")
    assert refusal.value.code == "wrong_effect"


def test_nobody_lifts_what_lies_on_themselves(person):
    moderator, other = person(role="moderator"), person(role="moderator")
    made = restrict(other, "person", str(moderator.id), "block")
    with pytest.raises(errors.OwnCase):
        services.lift(actor=Actor.of(moderator), restriction_id=made.id, reason="I am fine.", interested=())


def test_deciding_restrict_restricts_the_subject_of_the_case(person):
    reported = services.report(actor=Actor.of(person()), subject_kind="voice", subject_ref=VOICE, text="Odd.").case
    decide(person(role="moderator"), reported, "restrict")
    (made,) = selectors.active_restrictions(subjects=[("voice", VOICE)])
    assert (made.effect, made.case_id) == ("pause", reported.id)
    decide(person(role="moderator"), hold(person()), "restrict")
    (forbidden,) = selectors.active_restrictions(subjects=[("text", DIGEST)])
    assert forbidden.effect == "forbid"


def test_deciding_restrict_on_what_is_restricted_already_keeps_the_one_restriction(person):
    restrict(person(role="moderator"))
    reported = services.report(actor=Actor.of(person()), subject_kind="voice", subject_ref=VOICE, text="Odd.").case
    decide(person(role="moderator"), reported, "restrict")
    assert Restriction.objects.count() == 1


def test_an_emergency_stop_stands_at_once_and_another_moderator_decides_about_it(person):
    moderator, owner = person(role="moderator"), person()
    fields = {"subject_kind": "voice", "subject_ref": VOICE, "effect": "pause", "reason": "x", "clause": "harm.any"}
    made = services.restrict_at_once(actor=Actor.of(moderator), **fields)
    assert [one.id for one in selectors.active_restrictions(subjects=[("voice", VOICE)])] == [made.id]
    case = Case.objects.get()
    assert (made.case_id, case.state, case.severity) == (case.id, "open", 3)
    assert case.due_at - case.opened_at <= level(kind="report", severity=3) + timedelta(seconds=5)
    with pytest.raises(errors.OwnCase):
        services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    settled(person(role="moderator"), case, "restrict", about=owner.id)
    assert [one.id for one in selectors.active_restrictions(subjects=[("voice", VOICE)])] == [made.id]
    assert Statement.objects.get().person == owner


def test_an_emergency_stop_that_is_dismissed_is_over(person):
    first = reported(person())
    fields = {"subject_kind": "voice", "subject_ref": VOICE, "effect": "pause", "reason": "x", "clause": "harm.any"}
    made = services.restrict_at_once(actor=Actor.of(person(role="moderator")), **fields)
    assert made.case == first  # what people reported already is the same case
    settled(person(role="moderator"), first, "dismiss")
    assert selectors.active_restrictions(subjects=[("voice", VOICE)]) == []
    assert not Statement.objects.exists()
    with pytest.raises(NotAllowed):
        services.restrict_at_once(actor=Actor.of(person()), **fields)
