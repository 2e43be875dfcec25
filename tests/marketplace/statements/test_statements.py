"""Statements are made, logged, and verified offline; whatever is changed in one is found."""

import json
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloning import metering, usage_leaf
from cloning.models import MeteredUse, Usage, UsageAccount
from foundation import clock, keys
from foundation.audit import canonical, receipts
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor, MissingScope
from marketplace import money
from marketplace.ledger import selectors as ledger
from marketplace.pricing import BASIS_POINTS
from marketplace.statements import making, selectors, sources, verify
from marketplace.statements.errors import (
    AccountBroken,
    BadPeriod,
    BadRates,
    NothingUsed,
    RatesFixed,
    RatesMissing,
)
from marketplace.statements.models import Statement
from marketplace.statements.verify import BadStatement
from tests.marketplace.factories import ready_voice, spoken
from tests.marketplace.statements.conftest import Month, check, whole
from vouch import cli

pytestmark = pytest.mark.django_db
USED = 1_000 + 7 + 333 + 11 + 1
GROSS = USED * 333 // 1_000
FEE = GROSS * 1_500 // BASIS_POINTS
RATES = {"v": 1, "date": "2020-01-01", "base": "EUR", "rates": {"JPY": "160.25", "USD": "1.0853"}}


def vouch(file: Path, *more: str) -> int:
    return cli.main(["verify-statement", str(file), "--public-key", keys.public_key("log").hex(), *more])


def parts(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    head, *lines = data.splitlines()
    return json.loads(head), lines


def joined(head: dict[str, Any], lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in [canonical.encode(head), *lines])


def test_a_statement_recomputes_to_the_cent(month: Month) -> None:
    summary = check(month.file()).summary
    assert (summary["uses"], summary["characters"]) == (7, USED + 70)
    assert summary["totals"] == {"EUR": {"gross": GROSS, "fee": FEE, "reversed": 0, "net": GROSS - FEE}}
    assert (summary["final"], summary["payable"]) == (False, None)


def test_what_it_says_is_what_the_ledger_booked(month: Month) -> None:
    money.settle_due()
    month.use(29, licence=month.licence)
    money.settle_due()
    total = check(month.file()).summary["totals"]["EUR"]
    (held,) = ledger.earnings(person_id=month.owner.id)
    assert (held.held, total["gross"]) == (total["net"], (USED + 29) * 333 // 1_000)
    assert ledger.faults() == []


def test_a_free_use_is_a_line_of_zero_and_not_a_missing_one(month: Month) -> None:
    _, lines = parts(month.file())
    amounts = [line.rsplit(b",", 2)[1:] for line in lines]
    own, given = amounts[0], amounts[4]
    assert (len(lines), own, given) == (7, [b"0", b"0]"], [b"0", b"0]"])


def test_the_file_verifies_with_no_database_and_no_network(month: Month, tmp_path: Path) -> None:
    path = tmp_path / "statement.jsonl"
    path.write_bytes(month.file())
    command = [sys.executable, "-m", "vouch.cli", "verify-statement", str(path), "--public-key"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [*command, keys.public_key("log").hex()], env=environment, capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stdout[:6]) == (0, "INTACT"), done
    assert "django" not in subprocess.run(
        [sys.executable, "-c", "import sys, marketplace.statements.verify; print(' '.join(sys.modules))"],
        env=environment, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip


def test_the_log_key_of_somebody_else_proves_nothing(month: Month, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "statement.jsonl"
    path.write_bytes(month.file())
    assert cli.main(["verify-statement", str(path), "--public-key", "ab" * 32]) == 1
    assert "not signed by this key" in capsys.readouterr().out


# -- every byte counts ------------------------------------------------------------------------------------------------
def test_one_flipped_bit_anywhere_is_found(month: Month) -> None:
    data = month.file()
    head = data.index(b"\n")
    draw = random.Random(11)
    places = {*draw.sample(range(head), 90), *draw.sample(range(head, len(data)), 60), head, len(data) - 1}
    for place in sorted(places):
        bent = bytearray(data)
        bent[place] ^= 1 << draw.randrange(8)
        with pytest.raises(BadStatement):
            check(bytes(bent))


@pytest.mark.parametrize("number", range(7))
def test_a_removed_or_doubled_or_moved_line_is_found(month: Month, number: int) -> None:
    head, lines = parts(month.file())
    for bent in (
        lines[:number] + lines[number + 1 :],
        lines[: number + 1] + lines[number:],
        lines[number:] + lines[:number] if number else lines[::-1],
    ):
        with pytest.raises(BadStatement):
            check(joined(head, bent))


def _renumbered(lines: list[bytes]) -> list[bytes]:
    return [b"[%d," % number + line.split(b",", 1)[1] for number, line in enumerate(lines)]


def test_a_use_left_out_is_found_though_all_else_is_made_to_fit(month: Month) -> None:
    head, lines = parts(month.file())
    for number in range(7):
        with pytest.raises(BadStatement):
            check(joined(head, _renumbered(lines[:number] + lines[number + 1 :])))


def test_a_dishonest_operator_cannot_log_a_statement_without_a_use(month: Month) -> None:
    """Whoever holds the log's key signs a summary that lacks uses: the last output's leaf still carries the chain."""
    from foundation.audit import log
    from marketplace.statements.calculation import Account, Calculation, made
    from marketplace.statements.document import Proofs, header

    statement = month.statement()
    account = statement.account
    kept = [use for number, use in enumerate(sources.uses(account=account, below=7)) if number not in (0, 4)]
    bent = [use._replace(line=b"[%d," % number + use.line.split(b",", 1)[1]) for number, use in enumerate(kept)]
    sheets = [one for one in sources.sheets(account=account, below=7) if one[0].licence == str(month.licence.id)]
    calculation = Calculation(Account(str(month.owner.id), account.period, usage_leaf.NO_HEAD), [sheets[0][0]])
    lines = [calculation.add(use) for use in bent]
    summary = calculation.summary(final=False, rates=None, rates_sha256=None, payout="")
    leaf = log.append(
        kind="statement.made", subject=f"person:{month.owner.id}", actor=Actor.system("evil"), data=made(summary)
    )
    last = sources.last_leaf(account=account, below=7)
    assert last is not None
    note, leaves = receipts.together([leaf.index, last, sheets[0][1]])
    proofs = Proofs(leaves[leaf.index], leaves[last], None, [leaves[sheets[0][1]]], [])
    salt = bytes(month.owner.log_salt or b"")
    head = header(summary=summary, owner_salt=salt, sheets=[sheets[0][0]], rates=None, checkpoint=note, proofs=proofs)
    with pytest.raises(BadStatement, match="carries another chain"):
        check(head + b"".join(line + b"\n" for line in lines))


@pytest.mark.parametrize("key", ["price_minor", "fee_bp", "quantity", "free"])
def test_other_terms_than_the_order_had_are_found(month: Month, key: str) -> None:
    head, lines = parts(month.file())
    sold = next(sheet for sheet in head["terms"] if sheet["order"])
    sold[key] += 1
    with pytest.raises(BadStatement, match="the order in the log has others"):
        check(joined(head, lines))


def test_a_bought_licence_cannot_be_shown_as_a_given_one(month: Month) -> None:
    head, lines = parts(month.file())
    place = next(n for n, sheet in enumerate(head["terms"]) if sheet["order"])
    free = next(sheet for sheet in head["terms"] if not sheet["order"])
    index = month.licence.leaf_index
    _, leaves = receipts.together([index, head["proofs"]["statement"]["index"]])
    head["terms"][place] = {**free, "licence": str(month.licence.id)}
    head["proofs"]["terms"][place] = leaves[index]
    with pytest.raises(BadStatement, match="was bought"):
        check(joined(head, lines))


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", b"x" * 70_000_000, b'{"format":"vouch-statement-1"}\n', b"[]\n"])
def test_what_is_no_statement_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(BadStatement):
        check(data)


# -- against more than the file ---------------------------------------------------------------------------------------
def test_receipts_of_outputs_are_found_in_it_and_a_missing_one_is_told(
    month: Month, tmp_path: Path, capsys: Any
) -> None:
    early = month.file()
    late = spoken(month.voice, month.customer, characters=5, licence=month.licence)
    places = {"first": MeteredUse.objects.get(number=0).leaf_index, "late": late.metered.leaf_index}
    for name, index in places.items():
        (tmp_path / name).write_text(json.dumps(receipts.receipt(index)))
    file = tmp_path / "statement"
    file.write_bytes(early)
    assert vouch(file, "--receipt", str(tmp_path / "first")) == 0
    assert vouch(file, "--receipt", str(tmp_path / "first"), "--receipt", str(tmp_path / "late")) == 1
    assert "use 7 of the log is not in the statement" in capsys.readouterr().out
    file.write_bytes(month.file())
    assert vouch(file, "--receipt", str(tmp_path / "first"), "--receipt", str(tmp_path / "late")) == 0


def test_an_auditor_finds_in_the_log_what_a_final_statement_lacks(
    month: Month, tmp_path: Path, exported: Any, capsys: Any
) -> None:
    file = tmp_path / "statement"
    file.write_bytes(month.file())
    assert vouch(file, "--log", str(exported())) == 0
    assert "has 7 uses of this account" in capsys.readouterr().out
    summary = {**month.statement().summary, "uses": 6, "final": True}
    bodies = [bytes(one) for one in _bodies()]
    with pytest.raises(BadStatement, match="the log"):
        verify.complete(summary, bodies)
    with pytest.raises(BadStatement, match="two histories"):
        verify.complete(month.statement().summary, [body for body in bodies if b'"number":3' not in body])


def _bodies() -> Any:
    from foundation.audit.models import Leaf

    return Leaf.objects.order_by("index").values_list("body", flat=True)


def _next_month() -> None:
    """To the first of the next month, from whatever day this one is."""
    begin = (clock.now().replace(day=1) + timedelta(days=32)).replace(day=1, hour=2)
    clock.move_forward(begin - clock.now())


def test_a_month_hangs_on_the_one_before_and_a_closed_one_takes_no_more(
    month: Month, tmp_path: Path, capsys: Any
) -> None:
    begun = month.period
    cut = month.file()
    month.use(3)
    _next_month()
    month.use(40, licence=month.licence)
    final = month.statement(period=begun)
    files = {"cut": cut, "final": whole(final), "next": month.file()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert (final.final, final.uses, month.statement(period=begun)) == (True, 8, final)
    assert vouch(tmp_path / "next", "--previous", str(tmp_path / "final")) == 0
    assert vouch(tmp_path / "next", "--previous", str(tmp_path / "cut")) == 1
    assert "ended with another use" in capsys.readouterr().out
    assert check(files["next"]).summary["totals"]["EUR"]["gross"] == (USED + 40) * 333 // 1_000 - GROSS
    UsageAccount.objects.filter(period=month.period).update(closed=True)
    with pytest.raises(metering.OutOfPlace):
        month.use(1)


def test_after_a_lost_dispute_the_statement_takes_back_what_was_earned(month: Month) -> None:
    money.settle_due()
    money.open_dispute(actor=month.operator, order_id=month.order.id)
    money.close_dispute(actor=month.operator, order_id=month.order.id, lost=True)
    data = month.file()
    assert check(data).summary["totals"]["EUR"] == {"gross": GROSS, "fee": FEE, "reversed": GROSS - FEE, "net": 0}
    head, lines = parts(data)
    head["proofs"]["adjustments"] = []
    with pytest.raises(BadStatement, match="totals"):
        check(joined(head, lines))


# -- currencies -------------------------------------------------------------------------------------------------------
def test_everything_is_converted_by_a_dated_table_whose_hash_is_logged(month: Month) -> None:
    making.publish_rates(actor=month.operator, table=RATES)
    data = month.file(payout_currency="JPY")
    assert check(data).summary["payable"] == {"currency": "JPY", "minor": (GROSS - FEE) * 16_025 // 10_000}
    head, lines = parts(data)
    head["rates"]["rates"]["JPY"] = "161"
    with pytest.raises(BadStatement, match="rate table"):
        check(joined(head, lines))


def test_a_published_table_never_changes(month: Month) -> None:
    first = making.publish_rates(actor=month.operator, table=RATES)
    assert making.publish_rates(actor=month.operator, table=RATES) == first
    with pytest.raises(RatesFixed):
        making.publish_rates(actor=month.operator, table={**RATES, "rates": {"USD": "2"}})
    with pytest.raises(NotAllowed):
        making.publish_rates(actor=Actor.of(month.owner), table=RATES)


@pytest.mark.parametrize(
    "change",
    [{"base": "XXX"}, {"rates": {"XXX": "1"}}, {"rates": {"USD": 1.1}}, {"rates": {"USD": "0"}}, {"rates": {}},
     {"rates": {"USD": "-1"}}, {"date": "2020-02-30"}, {"date": 5}, {"v": 2}, {"more": 1}, {"rates": {"EUR": "1"}}],
)  # fmt: skip
def test_a_bad_table_is_refused(month: Month, change: dict[str, Any]) -> None:
    with pytest.raises(BadRates):
        making.publish_rates(actor=month.operator, table={**RATES, **change})


def test_without_a_table_nothing_is_converted(month: Month) -> None:
    with pytest.raises(RatesMissing):
        month.statement(payout_currency="USD")
    making.publish_rates(actor=month.operator, table={**RATES, "rates": {"USD": "1.1"}})
    with pytest.raises(RatesMissing):
        month.statement(payout_currency="JPY")
    assert not Statement.objects.exists()


# -- making -----------------------------------------------------------------------------------------------------------
def test_the_same_statement_is_made_once(month: Month) -> None:
    first = month.statement()
    assert month.statement() == first
    month.use(2)
    assert month.statement().uses == 8


def test_a_month_without_a_use_or_in_the_future_has_none(month: Month, person: Any) -> None:
    with pytest.raises(NothingUsed):
        making.make(actor=Actor.of(person()), period=month.period)
    for period in ("2999-01", "2026-13", "2026", "", "2026-1x"):
        with pytest.raises(BadPeriod):
            month.statement(period=period)


def test_uses_that_somebody_changed_in_the_database_make_no_statement(month: Month) -> None:
    Usage.objects.filter(metered__number=3).update(characters=1)
    with pytest.raises(AccountBroken):
        month.statement()
    assert not Statement.objects.exists()


def test_who_may_not(month: Month, person: Any) -> None:
    made = month.statement()
    with pytest.raises(NotFound):
        selectors.statement_of(actor=Actor.of(month.customer), statement_id=made.id)
    with pytest.raises(MissingScope):
        making.make(actor=Actor.of(month.owner, frozenset({"market:read"})), period=month.period)
    with pytest.raises(NotAllowed):
        making.make(actor=Actor.system("x"), period=month.period)
    assert Statement.objects.count() == 1


def test_two_owners_have_accounts_of_their_own(month: Month, person: Any) -> None:
    other = person()
    spoken(ready_voice(other), other, characters=4)
    summary = making.make(actor=Actor.of(other), period=month.period).summary
    assert (summary["uses"], summary["totals"]) == (1, {})
    assert check(month.file()).summary["uses"] == 7
