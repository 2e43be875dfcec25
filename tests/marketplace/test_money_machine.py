"""Random lives of orders: placed, paid, used, settled, disputed, refunded, converted, paid out, and broken off at any
write; in two currencies, with and without a fee; by character, second, output, month and share, with renewals, lapses,
declarations, and licences that are stopped or given up.

Whatever happens, in whatever order: every entry sums to zero, no balance is what its legs do not say, nobody owes less
than nothing, what a customer paid is always somewhere, and what an owner is owed is what a statement would say.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from cloning import revocation
from consent import licences
from consent.errors import LicenceCapReached, LicenceEnded
from foundation import clock
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from marketplace import charging, money, renewals, services, shares
from marketplace.ledger import selectors as ledger
from marketplace.ledger.entries import AccountKind
from marketplace.ledger.models import Account, Entry, Leg
from marketplace.models import Charge, Order
from marketplace.payouts import services as payouts
from marketplace.pricing import BY_USE, Unit
from marketplace.statements import making
from marketplace.statements.sources import terms_of
from tests.marketplace.factories import heard, ready_voice, spoken

MONTH = timedelta(days=29)
CURRENCIES = ("EUR", "JPY")
RATES = {"v": 1, "date": "2020-01-01", "base": "EUR", "rates": {"JPY": "160.25"}}
IBAN = "GB82WEST12345698765432"
COUNTS = {Unit.CHARACTER: 1_000, Unit.SECOND: 6, Unit.OUTPUT: 3, Unit.MONTH: 2, Unit.SHARE: 1}
"""What is ordered at once."""
HOURLY = [renewals.renew_due, renewals.lapse_due, renewals.refund_broken, shares.enforce_due]


class PowerCut(RuntimeError):
    """The process died here."""


def life(person: Any) -> type[RuleBasedStateMachine]:
    class Life(RuleBasedStateMachine):
        @initialize(
            prices=st.lists(st.sampled_from([1, 7, 199, 333, 100_000]), min_size=2, max_size=2),
            units=st.lists(st.sampled_from(list(Unit)), min_size=2, max_size=2),
            fee=st.sampled_from([0, 1, 1_500, 5_000]),
        )
        def begin(self, prices: list[int], units: list[Unit], fee: int) -> None:
            # A life leaves nothing behind, or the next would be slower for it.
            self.scope = transaction.atomic()
            self.scope.__enter__()
            self.moved = timedelta(0)
            self.patch = pytest.MonkeyPatch()
            self.patch.setattr(django_settings, "VOUCH_FEE_BP", fee)
            self.patch.setattr(django_settings, "VOUCH_PAYER_NAME", "Vouch")
            self.patch.setattr(django_settings, "VOUCH_PAYER_IBAN", "DE89370400440532013000")
            self.operator = Actor.of(person(role="operator"))
            self.owners, self.listings = [], []
            making.publish_rates(actor=self.operator, table=RATES)
            for price, unit, currency in zip(prices, units, CURRENCIES, strict=True):
                owner = person()
                payouts.set_account(
                    actor=Actor.of(owner), name="O", account=IBAN, bic="", currency=CURRENCIES[len(self.owners)]
                )
                terms = {"title": "A voice", "currency": currency, "languages": ["en"], "licence_days": 60}
                self.owners.append(owner)
                made = services.create_listing(
                    actor=Actor.of(owner),
                    voice_id=ready_voice(owner, valid_until=clock.now() + timedelta(days=900)).id,
                    price_minor=min(price, 10_000) if unit == Unit.SHARE else price,
                    unit=unit.value,
                    **terms,
                )
                self.listings.append(heard(made))
            self.customers = [person(), person()]
            self.references = 0
            # Every life starts with something sold, or most would end before anything is earned.
            self.place(which=0, who=0, renews=False, cut=0)
            self.pay(pick=0, cut=0)

        def teardown(self) -> None:
            if hasattr(self, "scope"):
                self.patch.undo()
                transaction.set_rollback(True)
                self.scope.__exit__(None, None, None)
            (Path(django_settings.VOUCH_VAR) / "rehearsal-clock").unlink(missing_ok=True)

        def attempt(self, act: Callable[[], object], cut: int) -> None:
            """Does it, or, with ``cut`` above 0, is killed at that write: all of it happened, or nothing."""
            before = (Entry.objects.count(), sorted(Order.objects.values_list("id", "state")))
            writes = 0
            save = Entry.save

            def dying(entry: Entry, *args: Any, **kwargs: Any) -> None:
                nonlocal writes
                writes += 1
                save(entry, *args, **kwargs)
                if writes == cut:
                    raise PowerCut

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Entry, "save", dying)
                try:
                    with transaction.atomic():
                        act()
                except PowerCut:
                    assert before == (Entry.objects.count(), sorted(Order.objects.values_list("id", "state")))
                except VouchError:
                    pass  # a named refusal is an outcome like any other

        @rule(which=st.integers(0, 1), who=st.integers(0, 1), renews=st.booleans(), cut=st.integers(0, 2))
        def place(self, which: int, who: int, renews: bool, cut: int) -> None:
            listing, customer = self.listings[which], Actor.of(self.customers[who])
            wanted = {"characters": COUNTS[Unit(listing.unit)], "renews": renews and listing.unit == Unit.MONTH}
            self.attempt(lambda: services.place_order(actor=customer, listing_id=listing.id, **wanted), cut)

        @rule(pick=st.integers(0, 9), cut=st.integers(0, 2))
        def cancel(self, pick: int, cut: int) -> None:
            if order := self.order(pick):
                self.attempt(lambda: services.cancel_order(actor=Actor.of(order.customer), order_id=order.id), cut)

        @rule(pick=st.integers(0, 9), cut=st.integers(0, 2))
        def pay(self, pick: int, cut: int) -> None:
            if order := self.order(pick):
                self.attempt(
                    lambda: services.record_payment(actor=self.operator, order_id=order.id, reference="77"), cut
                )

        @rule(pick=st.integers(0, 9), characters=st.integers(1, 1_000))
        def use(self, pick: int, characters: int) -> None:
            order = self.order(pick)
            if order is None or order.licence is None or order.listing is None:
                return
            try:
                if order.unit in (Unit.SECOND, Unit.OUTPUT):
                    spoken(order.listing.voice, order.customer, characters=characters, licence=order.licence)
                    return
                licences.reserve(licence_id=order.licence.id, characters=characters)
            except (LicenceCapReached, LicenceEnded):
                return
            licences.settle(licence_id=order.licence.id, characters=characters)

        @rule(pick=st.integers(0, 9))
        def a_month_goes_by(self, pick: int) -> None:
            """For one order: its months, its declarations and its deadline come nearer."""
            order, by = self.order(pick), timedelta(days=31)
            if order is None:
                return
            for name in ("starts_at", "ends_at", "charge_at", "due_at", "fulfilled_at"):
                if getattr(order, name) is not None:
                    setattr(order, name, getattr(order, name) - by)
            order.save(update_fields=["starts_at", "ends_at", "charge_at", "due_at", "fulfilled_at"])

        @rule(pick=st.integers(0, 9), revenue=st.integers(0, 10**6), cut=st.integers(0, 2))
        def declare(self, pick: int, revenue: int, cut: int) -> None:
            order = self.order(pick)
            due = [month for month in shares.months(order) if month.bill is None] if order else []
            if order and due and order.unit == Unit.SHARE:
                said = {"order_id": order.id, "period": due[0].period, "revenue_minor": revenue}
                self.attempt(lambda: shares.declare(actor=Actor.of(order.customer), **said), cut)

        @rule(step=st.sampled_from(HOURLY), cut=st.integers(0, 2))
        def hourly(self, step: Callable[[], int], cut: int) -> None:
            self.attempt(step, cut)

        @rule(pick=st.integers(0, 9), given_up=st.booleans())
        def end_licence(self, pick: int, given_up: bool) -> None:
            order = self.order(pick)
            if order is None or order.licence_id is None:
                return
            which = order.licence_id
            if given_up:
                said = {"licence_id": which, "reason": charging.GIVEN_UP}
                self.attempt(lambda: licences.end_licence(actor=Actor.of(order.customer), **said), 0)
            else:
                owner = self.owners[self.listings.index(order.listing)]
                self.attempt(lambda: revocation.stop(actor=Actor.of(owner), licence_id=which, reason="Harm."), 0)

        @rule(cut=st.integers(0, 2))
        def settle(self, cut: int) -> None:
            self.attempt(money.settle_due, cut)

        @precondition(lambda self: self.moved + money.HOLDBACK <= MONTH)
        @rule()
        def wait(self) -> None:
            clock.move_forward(money.HOLDBACK)
            self.moved += money.HOLDBACK

        @rule(pick=st.integers(0, 9), cut=st.integers(0, 2))
        def refund(self, pick: int, cut: int) -> None:
            if order := self.order(pick):
                self.attempt(lambda: money.refund(actor=self.operator, order_id=order.id), cut)

        @rule(pick=st.integers(0, 9))
        def dispute(self, pick: int) -> None:
            if order := self.order(pick):
                self.attempt(lambda: money.open_dispute(actor=self.operator, order_id=order.id), 0)

        @rule(pick=st.integers(0, 9), lost=st.booleans(), cut=st.integers(0, 3))
        def end_dispute(self, pick: int, lost: bool, cut: int) -> None:
            if order := self.order(pick):
                self.attempt(lambda: money.close_dispute(actor=self.operator, order_id=order.id, lost=lost), cut)

        @rule(who=st.integers(0, 1), cut=st.integers(0, 2), currency=st.sampled_from(CURRENCIES))
        def pay_out(self, who: int, cut: int, currency: str) -> None:
            self.references += 1
            pay = {"person_id": self.owners[who].id, "currency": currency, "reference": str(self.references)}
            self.attempt(lambda: money.pay_out(actor=self.operator, **pay), cut)

        @rule(cut=st.integers(0, 3))
        def pay_out_everybody(self, cut: int) -> None:
            self.attempt(lambda: payouts.make_batch(actor=self.operator), cut)

        @rule(who=st.integers(0, 1), cut=st.integers(0, 2), back=st.booleans())
        def exchange(self, who: int, cut: int, back: bool) -> None:
            source, target = CURRENCIES[::-1] if back else CURRENCIES
            change = {"person_id": self.owners[who].id, "source": source, "target": target, "day": clock.now().date()}
            self.attempt(lambda: payouts.exchange(actor=self.operator, **change), cut)

        @rule(sold=st.integers(1, 5_000), bought=st.integers(1, 5_000), cut=st.integers(0, 2), back=st.booleans())
        def change_money(self, sold: int, bought: int, cut: int, back: bool) -> None:
            self.references += 1
            source, target = CURRENCIES[::-1] if back else CURRENCIES
            change = {"sold": source, "bought": target, "sold_minor": sold, "bought_minor": bought}
            self.attempt(
                lambda: payouts.change_money(actor=self.operator, reference=str(self.references), **change), cut
            )

        def order(self, pick: int) -> Order | None:
            made = list(Order.objects.filter(listing__in=self.listings).order_by("placed_at"))
            return made[pick % len(made)] if made else None

        # -- what is always so ----------------------------------------------------------------------------------------
        @invariant()
        def the_ledger_adds_up(self) -> None:
            assert ledger.faults() == []
            for currency in CURRENCIES:
                legs = Leg.objects.filter(account__currency=currency)
                assert sum(legs.values_list("amount_minor", flat=True)) == 0
                assert sum(Account.objects.filter(currency=currency).values_list("balance_minor", flat=True)) == 0

        @invariant()
        def what_was_paid_is_somewhere(self) -> None:
            if not hasattr(self, "listings"):
                return
            for order in Order.objects.filter(listing__in=self.listings).select_related("licence"):
                holder = f"order:{order.id}"
                prepaid = -ledger.balance(kind=AccountKind.PREPAID, holder=holder, currency=order.currency)
                moved = Leg.objects.filter(entry__order=order, entry__kind__in=["earn", "reverse"])
                of = dict.fromkeys(AccountKind.values, 0)
                for kind, amount in moved.values_list("account__kind", "amount_minor"):
                    of[kind] += amount
                gained = of[AccountKind.PREPAID]
                # The owner's part and the platform's are all of it, and the platform's is no more than its fee.
                assert gained == -of[AccountKind.HOLDBACK] - of[AccountKind.FEES]
                assert -of[AccountKind.FEES] <= terms_of(order).fee(gained)
                paid = order.amount_minor if order.paid_at else 0
                assert prepaid + gained + (order.refunded_minor or 0) == paid
                if order.unit in BY_USE and order.licence is not None:
                    assert gained <= terms_of(order).gross(money._used(order, order.licence))
                elif order.unit not in BY_USE:
                    # What was ever earned is what the statement's charges say, no more and no less.
                    booked = moved.filter(entry__kind="earn", account__kind=AccountKind.PREPAID)
                    charged = Charge.objects.filter(order=order).values_list("gross", flat=True)
                    assert sum(charged) == sum(booked.values_list("amount_minor", flat=True)) <= order.amount_minor

    return Life


def _run(person: Any, *, lives: int, steps: int) -> None:
    wanted = settings(
        max_examples=lives,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=lives > 100,
    )
    run(life(person), settings=wanted)


@pytest.mark.django_db
def test_no_life_of_an_order_loses_or_makes_money(person: Any) -> None:
    _run(person, lives=5, steps=14)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.timeout(3_000)
def test_ten_thousand_operations_leave_the_ledger_at_zero(person: Any) -> None:
    _run(person, lives=250, steps=40)
