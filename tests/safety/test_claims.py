"""Pulling, renewing, releasing: one case, one holder."""

import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection

from foundation import clock
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from safety import claims, desk, errors, exposure, services
from safety.models import Case, Exposure
from safety.service_levels import level
from tests.safety.desk import VOICE, decide, hold, kinds, nobody, reported, rule
from tests.safety.test_races import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk_person(person):
    """``desk_person()`` → (a moderator, their actor)."""

    def make(role="moderator"):
        one = person(role=role)
        return one, Actor.of(one)

    return make


def test_pull_gives_the_worst_and_then_the_oldest(person, desk_person):
    _, actor = desk_person()
    light = reported(person())
    foreign = hold(person(), text="おはようございます")
    older, newer = hold(person()), hold(person())
    pulled = [services.pull(actor=actor, stakes=nobody) for _ in range(4)]
    assert pulled == [older, newer, light, foreign]
    assert all(case.claimed_by_id == actor.person_id for case in pulled)
    with pytest.raises(errors.NothingWaits):
        services.pull(actor=actor, stakes=nobody)


def test_pull_keeps_to_its_queue(person, desk_person):
    _, actor = desk_person()
    hold(person())
    light = reported(person())
    assert services.pull(actor=actor, kind="report", stakes=nobody) == light
    with pytest.raises(errors.NothingWaits):
        services.pull(actor=actor, severity=3, stakes=nobody)


def test_pull_passes_over_what_the_moderator_has_a_stake_in(person, desk_person):
    moderator, actor = desk_person()
    hold(moderator)
    reported(moderator)
    reported(person(), kind="person", ref=moderator.id)
    stake = reported(person(), ref=uuid.uuid4())
    with pytest.raises(errors.NothingWaits):
        services.pull(actor=actor, stakes=lambda case: {moderator.id} if case.id == stake.id else ())
    assert not Case.objects.exclude(state="open").exists()
    assert services.pull(actor=actor, stakes=nobody) == stake


def test_however_many_are_their_own_the_next_one_is_found(person, desk_person):
    moderator, actor = desk_person()
    owned = {reported(person(), ref=uuid.uuid4()).id for _ in range(22)}
    for _ in range(22):
        reported(moderator, ref=uuid.uuid4())
    last = reported(person(), ref=uuid.uuid4())
    assert services.pull(actor=actor, stakes=lambda case: {moderator.id} if case.id in owned else ()) == last


def test_a_lapsed_claim_is_pulled_again_and_a_heartbeat_keeps_it(person, desk_person):
    _, first = desk_person()
    _, second = desk_person()
    case = hold(person())
    services.pull(actor=first, stakes=nobody)
    clock.move_forward(claims.CLAIM_LEASE - timedelta(seconds=5))
    services.claim_case(actor=first, case_id=case.id, interested=())
    clock.move_forward(timedelta(seconds=10))
    with pytest.raises(errors.NothingWaits):
        services.pull(actor=second, stakes=nobody)
    clock.move_forward(claims.CLAIM_LEASE)
    assert services.pull(actor=second, stakes=nobody) == case


def test_a_released_case_keeps_its_place_and_its_times(person, desk_person):
    _, first = desk_person()
    _, second = desk_person()
    case = hold(person())
    hold(person())
    began = services.pull(actor=first, stakes=nobody).first_claimed_at
    clock.move_forward(timedelta(seconds=40))
    with pytest.raises(errors.CaseNotClaimed):
        services.release_case(actor=second, case_id=case.id)
    released = services.release_case(actor=first, case_id=case.id)
    assert (released.state, released.claimed_by_id, released.handling_seconds) == ("open", None, 40)
    assert services.release_case(actor=first, case_id=case.id).state == "open"
    clock.move_forward(timedelta(seconds=100))
    taken = services.pull(actor=second, stakes=nobody)
    assert (taken, taken.first_claimed_at) == (case, began)
    assert taken.last_claimed_at - began >= timedelta(seconds=140)
    assert "case.released" in kinds()


def test_handling_time_is_what_was_worked_not_what_was_slept(person, desk_person):
    moderator, actor = desk_person()
    case = services.claim_case(actor=actor, case_id=hold(person()).id, interested=())
    clock.move_forward(timedelta(seconds=30))
    services.claim_case(actor=actor, case_id=case.id, interested=())
    clock.move_forward(timedelta(hours=10))
    decided = decide(moderator, case, "allow")
    assert decided.handling_seconds == 30


def test_what_is_decided_or_waits_for_its_effects_is_neither_claimed_nor_released(person, desk_person):
    moderator, actor = desk_person()
    case = hold(person())
    rule(moderator, case, "allow")
    with pytest.raises(errors.CaseDecided):
        services.claim_case(actor=actor, case_id=case.id, interested=nobody())
    with pytest.raises(errors.CaseDecided):
        services.release_case(actor=actor, case_id=case.id)
    with pytest.raises(errors.NothingWaits):
        services.pull(actor=desk_person()[1], stakes=nobody)


@pytest.mark.parametrize("role", ["member", "auditor", "operator"])
def test_nobody_else_pulls_or_releases(person, role):
    actor, case = Actor.of(person(role=role)), hold(person())
    for act in (
        lambda: services.pull(actor=actor, stakes=nobody),
        lambda: services.release_case(actor=actor, case_id=case.id),
        lambda: services.release_all(actor=actor),
        lambda: desk.queues(actor=actor),
        lambda: desk.page(actor=actor),
    ):
        with pytest.raises(NotAllowed):
            act()
    case.refresh_from_db()
    assert (case.state, Exposure.objects.count()) == ("open", 0)


def test_a_forged_case_id_is_not_found(desk_person):
    with pytest.raises(NotFound):
        services.release_case(actor=desk_person()[1], case_id=uuid.uuid4())


def test_each_kind_and_severity_has_its_time(person):
    case = hold(person())
    assert case.due_at - case.opened_at == level(kind="policy_hold", severity=2)
    assert reported(person()).due_at is not None


# -- exposure ---------------------------------------------------------------------------------------------------------
def test_a_spent_budget_leaves_the_lighter_cases(person, desk_person):
    moderator, actor = desk_person()
    worst = hold(person())
    Case.objects.filter(id=worst.id).update(severity=3)
    light = reported(person())
    row = exposure.today(moderator.id)
    Exposure.objects.filter(id=row.id).update(severe=exposure.SEVERE_A_DAY)
    assert services.pull(actor=actor, stakes=nobody) == light
    with pytest.raises(errors.BudgetSpent):
        services.pull(actor=actor, stakes=nobody)
    assert services.pull(actor=desk_person()[1], stakes=nobody) == worst


def test_listening_counts_against_the_budget_and_is_bounded(desk_person):
    moderator, actor = desk_person()
    for seconds in (0, -1, exposure.MAX_BEAT_SECONDS + 1):
        with pytest.raises(errors.Refused):
            exposure.count_listening(actor=actor, seconds=seconds)
    assert exposure.count_listening(actor=actor, seconds=30).seconds_heard == 30
    Exposure.objects.filter(person=moderator).update(seconds_heard=exposure.SECONDS_A_DAY)
    assert exposure.is_spent(exposure.today(moderator.id))


def test_a_break_frees_what_is_held_and_hands_out_nothing(person, desk_person):
    _, actor = desk_person()
    case = hold(person())
    services.pull(actor=actor, stakes=nobody)
    assert services.release_all(actor=actor) == 1
    exposure.start_break(actor=actor)
    with pytest.raises(errors.OnBreak):
        services.pull(actor=actor, stakes=nobody)
    with pytest.raises(errors.OnBreak):
        services.claim_case(actor=actor, case_id=case.id, interested=())
    exposure.end_break(actor=actor)
    assert services.pull(actor=actor, stakes=nobody) == case


# -- pages ------------------------------------------------------------------------------------------------------------
def test_pages_walk_the_whole_queue_once_in_order(person, desk_person, monkeypatch):
    monkeypatch.setattr(desk, "PAGE", 3)
    _, actor = desk_person()
    made = [reported(person(), ref=uuid.uuid4()) for _ in range(4)] + [hold(person()) for _ in range(4)]
    found, after = [], ""
    for _ in range(4):
        page = desk.page(actor=actor, after=after)
        found += page.cases
        if not (after := page.after):
            break
    assert found == made[4:] + made[:4]
    (holds, reports) = desk.queues(actor=actor)
    assert (holds.kind, holds.severity, holds.waiting, holds.late) == ("policy_hold", 2, 4, 0)
    assert (reports.kind, reports.waiting) == ("report", 4)
    clock.move_forward(timedelta(hours=9))
    assert [queue.late for queue in desk.queues(actor=actor)] == [4, 0]


@pytest.mark.parametrize("after", ["x", "....", "MXwyfDM", "Mnwtfic", "9" * 190])
def test_a_forged_place_is_refused_by_name(desk_person, after):
    with pytest.raises(desk.BadCursor):
        desk.page(actor=desk_person()[1], after=after)


# -- many at once -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_of_many_who_pull_at_once_no_two_hold_one_case(person):
    for _ in range(12):
        hold(person())
    holds, lost = pull_together([Actor.of(person(role="moderator")) for _ in range(6)], each=3)
    assert lost == []
    assert held_twice(holds) == []
    assert len({one.case_id for one in holds}) == len(holds) == 12


@pytest.mark.django_db(transaction=True)
def test_of_many_who_pull_while_claims_lapse_no_two_hold_one_case(person, monkeypatch):
    monkeypatch.setattr(claims, "CLAIM_LEASE", timedelta(milliseconds=300))
    for _ in range(8):
        hold(person())
    actors = [Actor.of(person(role="moderator")) for _ in range(4)]
    holds, lost = [], []
    for _ in range(3):
        more = pull_together(actors, each=2)
        holds += more[0]
        lost += more[1]
        time.sleep(0.3)
    assert lost == []
    assert held_twice(holds) == []
    assert len({one.case_id for one in holds}) < len(holds)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.django_db(transaction=True)
def test_fifty_moderators_pull_ten_thousand_times_and_no_case_is_held_twice(person):
    """The issue's number. Cases are made in bulk; each moderator pulls, and puts back every third.

    It may take longer than a claim holds: then the first ones lapse, and somebody else gets them. That is no fault;
    two who hold one case at the same time are.
    """
    customer = person()
    Case.objects.bulk_create(
        Case(
            kind="policy_hold", severity=1 + n % 3, subject_kind="text", subject_ref=f"{n:064x}", requester=customer,
            voice_ref=VOICE, text="x", text_digest=f"{n:064x}", due_at=clock.now(),
        )
        for n in range(10_050)
    )  # fmt: skip
    actors = [Actor.of(person(role="moderator")) for _ in range(50)]
    holds, lost = pull_together(actors, each=200, put_back=3)
    assert lost == []
    assert len(holds) == 10_000
    assert held_twice(holds) == []
    last = {one.case_id: one for one in sorted(holds, key=lambda one: one.since)}
    kept = {case_id: one.person_id for case_id, one in last.items() if not one.put_back}
    assert dict(Case.objects.filter(state="claimed").values_list("id", "claimed_by_id")) == kept


@dataclass(frozen=True)
class Hold:
    """Somebody surely held a case from ``since`` (``pull`` had returned) to ``until`` (put back, or lapsed)."""

    case_id: uuid.UUID
    person_id: uuid.UUID
    since: datetime
    until: datetime
    put_back: bool


def held_twice(holds):
    """Pairs of holds of one case that overlap."""
    ordered = sorted(holds, key=lambda one: (one.case_id, one.since))
    return [
        (one, other) for one, other in pairwise(ordered) if one.case_id == other.case_id and other.since < one.until
    ]


def pull_together(actors, *, each, put_back=0):
    """Everybody pulls ``each`` times, or until nothing waits, and puts back every so many; returns holds and errors."""
    holds, lock = [], threading.Lock()

    def work(actor):
        for n in range(1, each + 1):
            try:
                case = services.pull(actor=actor, stakes=nobody)
            except errors.NothingWaits:
                break
            since, until, back = clock.now(), case.claimed_until, bool(put_back) and n % put_back == 0
            if back:
                until = clock.now()
                services.release_case(actor=actor, case_id=case.id)
            with lock:
                holds.append(Hold(case.id, actor.person_id, since, until, back))
        connection.close()

    _, lost = together([lambda actor=actor: work(actor) for actor in actors], patience=1_700)
    return holds, lost


@pytest.mark.django_db(transaction=True)
def test_many_reports_of_one_voice_are_one_case(person):
    """A tenth of a percent of the issue's flood, really at once; `python -m vouch.deskbench` sends all of it."""
    people = [Actor.of(person()) for _ in range(40)]

    def send(some):
        for actor in some:
            services.report(actor=actor, subject_kind="voice", subject_ref=VOICE, text="That is me.")

    _, lost = together([lambda at=at: send(people[at::4]) for at in range(4)])
    assert lost == []
    case = Case.objects.get()
    assert (case.report_count, case.reports.count(), case.severity) == (40, 40, services.MANY_SEVERITY)
