import json

import pytest
from django.db import DatabaseError, connection, transaction

from foundation.audit import checkpoints, events, log, merkle, receipts, tree
from foundation.audit.errors import BadEvent, NoSuchLeaf, NotInTransaction, UnknownKind
from foundation.audit.models import Checkpoint, Cosignature, Leaf, Node
from foundation.audit.verify import verify_receipt
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.keys import public_key

ACTOR = Actor.system("test")


def add(number: int = 0) -> Leaf:
    with transaction.atomic():
        return log.append(kind="clock.moved", subject=f"clock:{number}", actor=ACTOR, data={"offset_seconds": number})


@pytest.mark.django_db
def test_a_leaf_says_who_did_what_when() -> None:
    before = now()
    leaf = add(1)
    body = json.loads(bytes(leaf.body))
    assert body == {
        "v": 2, "kind": "clock.moved", "subject": "clock:1", "actor": "system:test", "rehearsal": False,
        "at": body["at"], "data": {"offset_seconds": 1},
    }  # fmt: skip
    assert before.isoformat(timespec="microseconds") <= body["at"] <= now().isoformat(timespec="microseconds")
    assert leaf.leaf_hash == merkle.leaf_hash(leaf.body)


@pytest.mark.django_db
def test_indices_have_no_gaps_also_after_a_rollback() -> None:
    first = add().index
    with transaction.atomic():
        log.append(kind="clock.moved", subject="clock:lost", actor=ACTOR, data={"offset_seconds": 0})
        transaction.set_rollback(True)
    assert add().index == first + 1


@pytest.mark.django_db
def test_the_stored_tree_has_the_root_of_its_leaves_at_every_size() -> None:
    frontier = merkle.Frontier()
    for leaf in Leaf.objects.order_by("index"):
        frontier.append(bytes(leaf.leaf_hash))
    for number in range(35):
        frontier.append(bytes(add(number).leaf_hash))
        assert tree.root(tree.size()) == frontier.root()


@pytest.mark.django_db
def test_append_and_proof_cost_few_queries_in_a_larger_log(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    for number in range(40):
        add(number)
    with transaction.atomic(), django_assert_max_num_queries(1):
        log.append(kind="clock.moved", subject="clock:x", actor=ACTOR, data={"offset_seconds": 0})
    with django_assert_max_num_queries(2):
        tree.inclusion_proof(7, 41)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "subject", "data", "error"),
    [
        ("consent.forged", "a", {}, UnknownKind),
        ("clock.moved", "", {"offset_seconds": 1}, BadEvent),
        ("clock.moved", "x" * 201, {"offset_seconds": 1}, BadEvent),
        ("person.erased", "a", {"erased": {"x": object()}}, BadEvent),
        ("clock.moved", "a", {"offset_seconds": float("nan")}, BadEvent),
        ("person.registered", "a", {"role": "y" * log.MAX_DATA}, BadEvent),
        ("person.registered", "a", {"role": "write to ada@example.org now"}, BadEvent),
        ("clock.moved", "a", {}, BadEvent),
        ("clock.moved", "a", {"offset_seconds": 1, "note": "more"}, BadEvent),
        ("person.registered", "a", {}, BadEvent),
        ("person.registered", "a", {"role": 3}, BadEvent),
    ],
)
def test_what_does_not_belong_in_the_log_is_refused(kind: str, subject: str, data: dict, error: type) -> None:  # type: ignore[type-arg]
    size = tree.size()
    with pytest.raises(error), transaction.atomic():
        log.append(kind=kind, subject=subject, actor=ACTOR, data=data)
    assert tree.size() == size


@pytest.mark.django_db
def test_a_policy_pack_is_no_address() -> None:
    with transaction.atomic():
        log.append(kind="person.registered", subject="a", actor=ACTOR, data={"role": "core@1.2.0 @home"})


def test_every_kind_of_event_has_a_version() -> None:
    assert all(event.version >= 1 for event in events.EVENTS.values())


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Leaf, Node, Checkpoint, Cosignature])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET {} = NULL WHERE false"])
def test_the_database_refuses_to_change_the_past(model: type, statement: str) -> None:
    columns = {Leaf: "body", Node: "hash", Checkpoint: "root", Cosignature: "line"}
    table, column = model._meta.db_table, columns[model]  # type: ignore[attr-defined,index]
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table, column))


@pytest.mark.django_db
def test_an_unchanged_log_is_signed_once() -> None:
    add()
    first = checkpoints.make()
    assert checkpoints.make().pk == first.pk
    add()
    assert checkpoints.make().size == first.size + 1


@pytest.mark.django_db
def test_a_receipt_verifies_and_one_for_a_missing_leaf_is_refused() -> None:
    leaf = add(5)
    for number in range(6):
        add(number)
    verified = verify_receipt(json.loads(json.dumps(receipts.receipt(leaf.index))), public_key("log"))
    assert (verified.index, verified.subject, verified.data) == (leaf.index, "clock:5", {"offset_seconds": 5})
    with pytest.raises(NoSuchLeaf):
        receipts.receipt(leaf.index + 100)


@pytest.mark.usefixtures("transactional_db")
def test_outside_a_transaction_nothing_is_appended() -> None:
    with pytest.raises(NotInTransaction):
        log.append(kind="clock.moved", subject="clock:0", actor=ACTOR, data={"offset_seconds": 0})
    assert tree.size() == 0


@pytest.mark.usefixtures("transactional_db")
def test_an_uncommitted_leaf_is_never_signed() -> None:
    with transaction.atomic():
        leaf = log.append(kind="clock.moved", subject="clock:0", actor=ACTOR, data={"offset_seconds": 0})
        with pytest.raises(RuntimeError):
            receipts.receipt(leaf.index)
        transaction.set_rollback(True)
    assert not Checkpoint.objects.exists()
    assert tree.size() == 0
