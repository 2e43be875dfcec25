"""The book and the rules the database keeps for it."""

import json
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from marketplace.ledger import entries, selectors
from marketplace.ledger.book import Movement, post, post_all
from marketplace.ledger.entries import AccountRef, EntryKind, Unbalanced
from marketplace.ledger.errors import KeyReused, NotEnough
from marketplace.ledger.models import Account, Entry, Leg

SYSTEM = Actor.system("test")
A, B, ELSEWHERE = AccountRef("clearing", "vouch", "EUR"), AccountRef("payable", "person:1", "EUR"), "USD"


def movement(key: str = "k", amount: int = 5, kind: EntryKind = EntryKind.PAYOUT) -> Movement:
    return Movement(key, kind, {A: amount, B: -amount})


@given(
    st.dictionaries(
        st.builds(AccountRef, st.sampled_from(["clearing", "payable"]), st.text(max_size=3), st.just("EUR")),
        st.integers(-(10**13), 10**13),
        max_size=4,
    )
)
def test_only_legs_that_sum_to_zero_pass(legs: dict[AccountRef, int]) -> None:
    good = (
        len(legs) >= 2
        and sum(legs.values()) == 0
        and all(0 < abs(amount) <= entries.MAX_AMOUNT for amount in legs.values())
    )
    if good:
        entries.check(legs)
    else:
        with pytest.raises(Unbalanced):
            entries.check(legs)


def test_currencies_do_not_mix_and_booleans_are_no_money() -> None:
    for legs in ({A: 5, AccountRef("payable", "person:1", ELSEWHERE): -5}, {A: True, B: -1}):
        with pytest.raises(Unbalanced):
            entries.check(legs)


@pytest.mark.django_db
def test_an_entry_moves_the_balances_and_stands_in_the_log() -> None:
    entry = post(movement(amount=7), actor=SYSTEM)
    assert selectors.balance(kind=A.kind, holder=A.holder, currency="EUR") == 7
    assert selectors.balance(kind=B.kind, holder=B.holder, currency="EUR") == -7
    assert _logged() == [f"entry:{entry.id}"]
    assert selectors.faults() == []


@pytest.mark.django_db
def test_one_key_is_booked_once_and_not_for_something_else() -> None:
    first = post(movement(), actor=SYSTEM)
    assert post(movement(), actor=SYSTEM) == first
    for other in (movement(amount=6), movement(kind=EntryKind.REFUND)):
        with pytest.raises(KeyReused):
            post(other, actor=SYSTEM)
    assert (Entry.objects.count(), Leg.objects.count(), len(_logged())) == (1, 2, 1)


@pytest.mark.django_db
def test_an_account_is_never_overdrawn_and_then_nothing_of_the_group_is_booked() -> None:
    with pytest.raises(NotEnough):
        post_all([movement("a", 5), movement("b", -6)], actor=SYSTEM)
    assert (Entry.objects.count(), _logged()) == (0, [])


@pytest.mark.django_db
def test_an_entry_that_does_not_balance_is_refused_by_the_database() -> None:
    first = post(movement(), actor=SYSTEM)
    account = Account.objects.get(kind="clearing")
    other = Account.objects.get(kind="payable")
    foreign = Account.objects.create(kind="payable", holder="person:1", currency="USD")
    attempts = [
        {"leg_count": 2, "legs": []},
        {"leg_count": 2, "legs": [(account, 5), (other, -4)]},
        {"leg_count": 2, "legs": [(account, 5), (foreign, -5)]},
        {"leg_count": 3, "legs": [(account, 5), (other, -5)]},
    ]
    for attempt in attempts:
        with pytest.raises(IntegrityError, match="does not balance"):
            _write_around_the_book(None, **attempt)
    # Nor can legs be added to an entry that is there, balanced or not.
    debit = Account.objects.create(kind="authorised", holder="order:2", currency="EUR")
    credit = Account.objects.create(kind="reserved", holder="order:2", currency="EUR")
    with pytest.raises(IntegrityError, match="does not balance"):
        _write_around_the_book(first, legs=[(debit, 3), (credit, -3)])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        lambda: Entry.objects.update(kind="refund"),
        lambda: Entry.objects.all()._raw_delete("default"),
        lambda: Leg.objects.update(amount_minor=1),
        lambda: Leg.objects.all()._raw_delete("default"),
        lambda: Account.objects.update(balance_minor=0),
        lambda: Account.objects.update(holder="person:2"),
        lambda: Account.objects.all()._raw_delete("default"),
        lambda: Account.objects.create(kind="clearing", holder="x", currency="EUR", balance_minor=1),
    ],
)
def test_nothing_booked_can_be_changed(change) -> None:
    post(movement(), actor=SYSTEM)
    with pytest.raises(DatabaseError), transaction.atomic():
        change()
    assert selectors.faults() == []


@pytest.mark.django_db
def test_the_check_finds_what_was_changed_around_the_triggers(capsys) -> None:
    post(movement(), actor=SYSTEM)
    call_command("ledger_check")
    assert "adds up" in capsys.readouterr().out
    _check_now()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE marketplace_leg DISABLE TRIGGER USER")
        cursor.execute("UPDATE marketplace_leg SET amount_minor = 6 WHERE amount_minor = 5")
        cursor.execute("ALTER TABLE marketplace_leg ENABLE TRIGGER USER")
    with pytest.raises(CommandError):
        call_command("ledger_check")
    told = capsys.readouterr().out
    assert "out of balance by 1 EUR" in told
    assert "shows 5, its legs sum to 6" in told


def _logged() -> list[str]:
    """Subjects of the events booked, as they stand in the log once the transaction has committed."""
    _check_now()
    return [json.loads(bytes(leaf.body))["subject"] for leaf in Leaf.objects.filter(kind="ledger.booked")]


@transaction.atomic
def _write_around_the_book(entry: Entry | None, *, legs: list[tuple[Account, int]], leg_count: int = 0) -> None:
    entry = entry or Entry.objects.create(key=str(uuid.uuid4()), kind="payout", leg_count=leg_count)
    for on, amount in legs:
        Leg.objects.create(entry=entry, account=on, amount_minor=amount)
    _check_now()


def _check_now() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
