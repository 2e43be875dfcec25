"""A legal hold puts off a destruction, by two people and for a time. It opens nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from foundation.audit import commitments
from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor, MissingScope
from foundation.vault import storage
from foundation.vault.errors import PastDeadline
from foundation.vault.models import VaultKey
from retention import custody, holds
from retention.errors import HoldInvalid, HoldNotOpen, HoldTakesTwo, HoldUnknown, ItemUnknown, UnderHold
from retention.models import CustodyItem, LegalHold
from retention.purposes import LIMIT
from tests.retention.factories import SOUND, SYSTEM, held_by_law, received

pytestmark = pytest.mark.django_db


def key_of(item: CustodyItem) -> VaultKey:
    return VaultKey.objects.get(id=item.key_id)


def test_an_approved_hold_keeps_the_key_past_the_deadline_and_the_sweep_ends_it_with_the_hold(person: Any) -> None:
    item = received(person())
    hold = held_by_law(item, person("operator"), person("operator"), days=5)
    move_forward(LIMIT)
    assert custody.sweep() == 0
    assert key_of(item).state == "active"
    move_forward(timedelta(days=2))
    assert custody.sweep() == 1
    assert key_of(item).state == "destroyed"
    hold.refresh_from_db()
    assert (hold.state, hold.ended_reason) == ("ended", "expired")
    assert {"hold.requested", "hold.approved", "hold.ended"} <= set(Leaf.objects.values_list("kind", flat=True))


def test_a_hold_is_not_use_nobody_reads_and_nothing_is_derived(person: Any) -> None:
    owner = person()
    item = received(owner)
    child = custody.derive(parent=item, data=b"features", kind="features", actor=SYSTEM)
    held_by_law(item, person("operator"), person("operator"))
    for actor in (SYSTEM, Actor.of(owner)):
        for one in (item, child):
            with pytest.raises(UnderHold):
                custody.read(item=one, actor=actor)
    with pytest.raises(UnderHold):
        custody.derive(parent=item, data=b"more", kind="features", actor=SYSTEM)
    # The deadline did not move: from it on the answer is that of every recording.
    move_forward(LIMIT)
    with pytest.raises(PastDeadline):
        custody.read(item=item, actor=SYSTEM)


def test_what_is_to_be_destroyed_under_a_hold_becomes_unreadable_and_ends_with_it(person: Any) -> None:
    item = received(person())
    child = custody.derive(parent=item, data=b"features", kind="features", actor=SYSTEM)
    hold = held_by_law(item, person("operator"), person("operator"))
    custody.destroy(item=child, reason="superseded", actor=SYSTEM)
    assert custody.destroy_all(items=[item], reason="consent_withdrawn", actor=SYSTEM) == []
    assert key_of(item).state == "active"
    assert set(CustodyItem.objects.values_list("state", flat=True)) == {"held"}
    for _ in range(2):
        holds.end_hold(actor=Actor.of(person("operator")), hold_id=hold.id)
    with pytest.raises(PastDeadline):
        custody.read(item=item, actor=SYSTEM)
    assert custody.sweep() == 1
    assert key_of(item).state == "destroyed"


def test_ending_a_hold_early_takes_two_as_well(person: Any) -> None:
    owner = person("operator")
    item = received(owner)
    one, other = person("operator"), person("operator")
    hold = held_by_law(item, one, other)
    asked = holds.end_hold(actor=Actor.of(one), hold_id=hold.id)
    assert (asked.state, asked.ending_by_id) == ("active", one.id)
    move_forward(LIMIT)
    assert custody.sweep() == 0
    for same in (one, owner):
        with pytest.raises(HoldTakesTwo):
            holds.end_hold(actor=Actor.of(same), hold_id=hold.id)
    ended = holds.end_hold(actor=Actor.of(other), hold_id=hold.id)
    assert (ended.state, ended.ended_by_id, ended.ended_reason) == ("ended", other.id, "released")
    assert custody.sweep() == 1
    kinds = Leaf.objects.filter(kind__startswith="hold.").order_by("index").values_list("kind", flat=True)
    assert list(kinds) == ["hold.requested", "hold.approved", "hold.release_requested", "hold.ended"]
    with pytest.raises(HoldNotOpen):
        holds.end_hold(actor=Actor.of(one), hold_id=hold.id)
    with pytest.raises(IntegrityError, match="hold_release_takes_two"), transaction.atomic():
        LegalHold.objects.filter(id=hold.id).update(ended_by=one)


def test_a_request_is_taken_back_by_one(person: Any) -> None:
    item = received(person())
    until = now() + timedelta(days=1)
    hold = holds.request_hold(actor=Actor.of(person("operator")), item_id=item.id, reason="x", expires_at=until)
    assert holds.end_hold(actor=Actor.of(person("operator")), hold_id=hold.id).state == "ended"
    assert custody.read(item=item, actor=SYSTEM) == SOUND


def test_a_request_alone_holds_nothing(person: Any) -> None:
    item = received(person(), deadline=now() + timedelta(hours=1))
    hold = holds.request_hold(
        actor=Actor.of(person("operator")), item_id=item.id, reason="x", expires_at=now() + timedelta(days=1)
    )
    assert custody.read(item=item, actor=SYSTEM) == SOUND
    move_forward(timedelta(hours=1))
    assert custody.sweep() == 1
    with pytest.raises(HoldNotOpen):
        holds.approve_hold(actor=Actor.of(person("operator")), hold_id=hold.id)
    assert key_of(item).state == "destroyed"


def test_it_takes_two_and_neither_is_the_subject(person: Any) -> None:
    one, subject = person("operator"), person("operator")
    item = received(subject)
    until = now() + timedelta(days=1)
    with pytest.raises(HoldTakesTwo):
        holds.request_hold(actor=Actor.of(subject), item_id=item.id, reason="x", expires_at=until)
    hold = holds.request_hold(actor=Actor.of(one), item_id=item.id, reason="x", expires_at=until)
    for same in (one, subject):
        with pytest.raises(HoldTakesTwo):
            holds.approve_hold(actor=Actor.of(same), hold_id=hold.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        LegalHold.objects.filter(id=hold.id).update(state="active", approved_by=one, approved_at=now())
    with pytest.raises(HoldNotOpen):
        holds.request_hold(actor=Actor.of(person("operator")), item_id=item.id, reason="x", expires_at=until)


@pytest.mark.parametrize("role", ["member", "moderator", "auditor"])
def test_only_operators_order_holds(person: Any, role: str) -> None:
    item = received(person())
    actor = Actor.of(person(role))
    with pytest.raises(MissingScope):
        holds.request_hold(actor=actor, item_id=item.id, reason="x", expires_at=now() + timedelta(days=1))
    hold = holds.request_hold(
        actor=Actor.of(person("operator")), item_id=item.id, reason="x", expires_at=now() + timedelta(days=1)
    )
    for act in (holds.approve_hold, holds.end_hold):
        with pytest.raises(MissingScope):
            act(actor=actor, hold_id=hold.id)
    hold.refresh_from_db()
    assert hold.state == "requested"
    with pytest.raises(NotAllowed):
        holds.request_hold(actor=SYSTEM, item_id=item.id, reason="x", expires_at=now() + timedelta(days=1))


def test_a_hold_needs_a_reason_an_end_and_a_whole_recording_that_is_held(person: Any) -> None:
    item = received(person())
    child = custody.derive(parent=item, data=b"features", kind="features", actor=SYSTEM)
    actor = Actor.of(person("operator"))
    day = timedelta(days=1)
    for changed in (
        {"reason": "  "},
        {"reason": "x" * 501},
        {"expires_at": now()},
        {"expires_at": now() + timedelta(days=91)},
        {"item_id": child.id},
    ):
        with pytest.raises(HoldInvalid):
            holds.request_hold(
                **{"actor": actor, "item_id": item.id, "reason": "x", "expires_at": now() + day, **changed}
            )
    with pytest.raises(ItemUnknown):
        holds.request_hold(actor=actor, item_id=actor.person_id, reason="x", expires_at=now() + day)
    with pytest.raises(HoldUnknown):
        holds.approve_hold(actor=actor, hold_id=item.id)
    move_forward(LIMIT)
    with pytest.raises(HoldInvalid):
        holds.request_hold(actor=actor, item_id=item.id, reason="x", expires_at=now() + day)
    assert not LegalHold.objects.exists()


def test_the_reason_stands_in_the_log_as_a_commitment_only(person: Any) -> None:
    hold = held_by_law(received(person()), person("operator"), person("operator"))
    assert not any(b"court" in bytes(body) for body in Leaf.objects.values_list("body", flat=True))
    assert commitments.Commitment(hold.reason_digest, hold.reason_salt).matches(hold.reason)
    assert any(hold.reason_digest.encode() in bytes(body) for body in Leaf.objects.values_list("body", flat=True))


def test_a_held_file_is_moved_out_of_the_reach_of_a_buckets_rules(person: Any) -> None:
    item, other = received(person()), received(person())
    kept = custody.derive(parent=item, data=b"derived", kind="features", actor=SYSTEM)
    before = {part.sealed.location for each in (item, kept) for part in each.parts.all()}
    assert all(location.startswith("brief/") for location in before)
    held_by_law(item, person("operator"), person("operator"))
    assert holds.keep_files() == 2
    assert holds.keep_files() == 0
    after = {part.sealed.location for each in (item, kept) for part in each.parts.select_related("sealed")}
    assert not any(location.startswith("brief/") for location in after)
    assert all(storage.current().exists(location) for location in after)
    assert other.parts.get().sealed.location.startswith("brief/")
