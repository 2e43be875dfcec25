"""Checking a statement's file with nothing but the log's public key: no server, no database, no network. Pure.

Everything that can be computed is computed again, to the cent; what is left is compared with leaves of the log, whose
proofs lead to a checkpoint that the log signed. docs/statements.md says what that proves and what it does not.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final
from uuid import UUID

from cloning import usage_leaf
from foundation.audit import canonical, merkle, notes, verify
from foundation.audit.commitments import person_tag
from marketplace.pricing import PriceProblem, Rates, Unit, read_rates
from marketplace.statements import charges, document
from marketplace.statements.calculation import Account, Calculation, Charged, NoTerms, Use, digest, made, use_of
from marketplace.statements.charges import BadCharge
from marketplace.statements.document import BadFile
from marketplace.statements.sheets import BadSheet, Sheet
from marketplace.statements.sheets import read as read_sheet
from marketplace.statements.sumtree import SumProblem

_TAIL: Final = re.compile(rb",(0|[1-9][0-9]{0,15}),(0|[1-9][0-9]{0,15})\]\Z")
SHOP: Final = "system:marketplace"
"""Who grants licences that were bought: a sheet without an order may not rest on such a leaf."""


class BadStatement(ValueError):
    """The statement does not hold; the message says where."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What the file proved. ``size``: leaves of the log named ``origin`` under the checkpoint; ``seen``: the numbers of
    the uses by their output, for receipts that are compared with it."""

    summary: Mapping[str, Any]
    origin: str
    size: int
    index: int
    rehearsal: bool
    seen: Mapping[str, int]


class _Log:
    """Proven leaves, all under the file's one checkpoint."""

    def __init__(self, checkpoint: str, public_key: bytes) -> None:
        try:
            self.signed = notes.verify(checkpoint, public_key)
        except notes.BadNote as error:
            raise BadStatement(f"the checkpoint: {error}") from error
        if checkpoint.partition("\n\n")[2].count("\n") != 1:
            raise BadStatement("the checkpoint has more signatures than the log's own")
        self.checkpoint, self.public_key = checkpoint, public_key

    def leaf(self, proof: Any, what: str, kind: str) -> verify.VerifiedLeaf:
        if not isinstance(proof, dict) or proof.keys() != {"index", "body", "proof"}:
            raise BadStatement(f"{what}: not a leaf with its proof")
        receipt = {
            "v": verify.RECEIPT_VERSION,
            "leaf": {"index": proof["index"], "body": proof["body"]},
            "proof": proof["proof"],
            "checkpoint": self.checkpoint,
        }
        try:
            found = verify.verify_receipt(receipt, self.public_key)
        except verify.InvalidReceipt as error:
            raise BadStatement(f"{what}: {error}") from error
        if found.kind != kind:
            raise BadStatement(f"{what}: the leaf is a {found.kind}, not a {kind}")
        return found


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose statement it is, and the salt that shows it in the log's leaves."""

    person: UUID
    salt: bytes

    def tag(self, leaf: verify.VerifiedLeaf) -> str:
        at = leaf.at.isoformat(timespec="microseconds")
        return f"person:{person_tag(self.person, self.salt, kind=leaf.kind, at=at)}"


def check(file: BinaryIO, public_key: bytes, *, look_for: Iterable[str] = ()) -> Verified:
    """Reads a statement's file and computes it again. ``look_for``: outputs whose numbers are wanted.

    Raises BadStatement.
    """
    try:
        return _check(file, public_key, frozenset(look_for))
    except (
        BadFile, BadSheet, BadCharge, PriceProblem, NoTerms, SumProblem, usage_leaf.BadUsage, canonical.NotCanonical,
    ) as error:  # fmt: skip
        raise BadStatement(str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, BadStatement):
            raise
        raise BadStatement(f"the file has another shape ({type(error).__name__})") from error


def _check(file: BinaryIO, public_key: bytes, look_for: frozenset[str]) -> Verified:
    found = document.read_header(file)
    summary, proofs = found["summary"], found["proofs"]
    log = _Log(found["checkpoint"], public_key)
    leaf = log.leaf(proofs["statement"], "the statement's leaf", "statement.made")
    owner = _Owner(UUID(summary["owner"]), bytes.fromhex(found["owner_salt"]))
    if owner.salt.hex() != found["owner_salt"] or leaf.subject != owner.tag(leaf) or leaf.data != made(summary):
        raise BadStatement("the summary is not the one in the log")
    account = Account(summary["owner"], summary["period"], bytes.fromhex(summary["before"]))
    sheets = _sheets(found["terms"], proofs["terms"], log)
    rates = _rates(found["rates"], proofs["rates"], summary, log)
    reversals = _reversals(proofs["adjustments"], account, owner, log)
    calculation = Calculation(account, sheets, reversals, _charged(summary))
    last, seen, priced = _uses(document.read_lines(file), calculation, look_for)
    _last(proofs["last"], last, calculation, log)
    _charges(found["charges"], proofs["charged"], calculation, log)
    unused = calculation.sheets.keys() - priced - {row[1] for row in found["charges"]}
    if unused:
        raise BadStatement(f"terms that price nothing: {', '.join(sorted(unused))}")
    payable = summary["payable"]
    again = calculation.summary(
        final=summary["final"] is True,
        rates=rates,
        rates_sha256=summary["rates_sha256"],
        payout=payable["currency"] if payable else "",
        version=summary["v"],
    )
    for key, value in again.items():
        if summary.get(key) != value or type(summary[key]) is not type(value):
            raise BadStatement(f"'{key}' comes out as {value!r}, not {summary.get(key)!r}")
    if summary.keys() != again.keys():
        raise BadStatement("the summary has other keys")
    return Verified(summary, log.signed.origin, log.signed.size, leaf.index, leaf.rehearsal, seen)


def _sheets(terms: list[Any], proofs: list[Any], log: _Log) -> list[Sheet]:
    sheets = [read_sheet(data) for data in terms]
    names = [sheet.licence for sheet in sheets]
    if names != sorted(set(names)):
        raise BadStatement("the terms are not in order, or one licence has two")
    for sheet, proof in zip(sheets, proofs, strict=True):
        what = f"the terms of licence {sheet.licence}"
        if sheet.order is None:
            granted = log.leaf(proof, what, "licence.granted")
            if granted.subject != f"licence:{sheet.licence}" or granted.actor == SHOP:
                raise BadStatement(f"{what}: this licence was bought, or is another")
            if merkle.leaf_hash(proof["body"].encode()).hex() != sheet.licence_sha256:
                raise BadStatement(f"{what}: another grant")
        else:
            sold = log.leaf(proof, what, "order.fulfilled")
            wanted = (f"order:{sheet.order}", sheet.licence, sheet.sha256())
            if (sold.subject, sold.data.get("licence"), sold.data.get("terms")) != wanted:
                raise BadStatement(f"{what}: the order in the log has others")
    return sheets


def _rates(table: Any, proof: Any, summary: Mapping[str, Any], log: _Log) -> Rates | None:
    if table is None:
        if proof is not None or summary["rates_sha256"] is not None:
            raise BadStatement("a rate table is named and is not there")
        return None
    leaf = log.leaf(proof, "the rate table's leaf", "rates.published")
    if leaf.data.get("sha256") != digest(table) or summary["rates_sha256"] != digest(table):
        raise BadStatement("the rate table is not the one in the log")
    return read_rates(table)


def _reversals(proofs: list[Any], account: Account, owner: _Owner, log: _Log) -> list[tuple[str, int]]:
    """What was earned and taken back: the owner's own leg of each reversal that the ledger logged in the month."""
    found, places = [], []
    for proof in proofs:
        leaf = log.leaf(proof, "a reversal", "ledger.booked")
        if leaf.data.get("entry") != "reverse" or usage_leaf.period_of(leaf.at) != account.period:
            raise BadStatement("a reversal is none, or of another month")
        own = [leg for leg in leaf.data["legs"] if leg[:2] == ["holdback", owner.tag(leaf)]]
        if len(own) != 1:
            raise BadStatement("a reversal is of somebody else")
        found.append((own[0][2], own[0][3]))
        places.append(leaf.index)
    if places != sorted(set(places)):
        raise BadStatement("the reversals are not in order, or one is there twice")
    return found


def _uses(
    lines: Iterable[bytes], calculation: Calculation, look_for: frozenset[str]
) -> tuple[Use | None, dict[str, int], set[str]]:
    """Prices every line again. Each has to be the next of the account, and the next under its licence. Returns the last
    use, the numbers of those looked for, and the licences used."""
    meters: dict[str, tuple[int, int, int]] = {}
    use: Use | None = None
    seen: dict[str, int] = {}
    period = calculation.account.period.encode()
    for number, line in enumerate(lines):
        tail = _TAIL.search(line)
        if tail is None:
            raise BadStatement(f"line {number}: not a priced use")
        use = use_of(line[: tail.start()] + b"]")
        if not line.startswith(b"[%d," % number):
            raise BadStatement(f"line {number}: another number stands there")
        if b'"' + period + b"-" not in line:
            raise BadStatement(f"line {number}: a use of another month")
        if use.licence is not None:
            before = (use.uses_before, use.characters_before, use.milliseconds_before)
            if meters.get(use.licence, before) != before:
                raise BadStatement(f"line {number}: its licence's counters do not follow")
            meters[use.licence] = (before[0] + 1, before[1] + use.characters, before[2] + use.milliseconds)
        elif use.uses_before or use.characters_before or use.milliseconds_before:
            raise BadStatement(f"line {number}: own use is not counted under a licence")
        if calculation.add(use) != line:
            raise BadStatement(f"line {number}: another amount comes out")
        if look_for and (output := usage_leaf.parse(use.line).output) in look_for:
            seen[output] = number
    return use, seen, set(meters)


def _charged(summary: Mapping[str, Any]) -> Charged | None:
    """What stood before the month's charges; None for the form that knew none."""
    said = summary.get("charges")
    return None if said is None else Charged(said["first"], bytes.fromhex(said["before"]))


def _charges(rows: list[Any], proof: Any, calculation: Calculation, log: _Log) -> None:
    """Prices every charge again: each the next of the owner, and of its licence; the last one's leaf has the chain."""
    owner, meters = calculation.account.owner, dict[str, int]()
    if calculation.charged.first == 0 and calculation.charged.before != charges.opening(owner):
        raise BadStatement("the owner's charges begin with another head")
    last = None
    for row in rows:
        last, gross, fee = charges.read(row)
        if not last.at.startswith(calculation.account.period + "-"):
            raise BadStatement(f"charge {last.number}: of another month")
        if meters.get(last.licence, last.before) != last.before:
            raise BadStatement(f"charge {last.number}: its licence's counter does not follow")
        if calculation.charge(last)[1:] != (gross, fee):
            raise BadStatement(f"charge {last.number}: another amount comes out")
        if calculation.sheets[last.licence].terms.unit is not Unit.SHARE:
            meters[last.licence] = last.before + last.count
    if last is None:
        if proof is not None:
            raise BadStatement("a last charge is named where there is none")
        return
    leaf = log.leaf(proof, "the last charge's leaf", "charge.made")
    if leaf.data.get("charge") != charges.commitment(owner, last, calculation.charge_head):
        raise BadStatement("the last charge's leaf carries another chain: a charge is missing, added or changed")
    if leaf.data.get("licence") != last.licence:
        raise BadStatement("the last charge's leaf is of another charge")


def _last(proof: Any, last: Use | None, calculation: Calculation, log: _Log) -> None:
    """The leaf of the last use's output has to carry this very chain: it was written when that output was sealed."""
    if last is None:
        if proof is not None:
            raise BadStatement("a last use is named where there is none")
        return
    leaf = log.leaf(proof, "the last use's leaf", "output.sealed")
    use = usage_leaf.parse(last.line)
    carried = {
        "account": calculation.account.name.hex(),
        "number": calculation.uses - 1,
        "leaf": usage_leaf.leaf_hash(last.line).hex(),
        "head": calculation.head.hex(),
    }
    if leaf.subject != f"output:{use.output}" or leaf.data.get("usage") != carried:
        raise BadStatement("the last use's leaf carries another chain: a use is missing, added or changed")
    if (leaf.data.get("licence"), leaf.data.get("characters")) != (use.licence, use.characters):
        raise BadStatement("the last use's leaf is of another use")


# -- against more than the file ---------------------------------------------------------------------------------------
def follows(summary: Mapping[str, Any], previous: Mapping[str, Any]) -> None:
    """Returns when ``previous`` is the whole month before ``summary``'s, both verified. Raises BadStatement."""
    if previous["owner"] != summary["owner"] or previous["period"] >= summary["period"]:
        raise BadStatement("the other statement is not of the same owner's earlier month")
    if previous["head"] != summary["before"]:
        raise BadStatement(f"the month of {previous['period']} ended with another use: its statement is not whole")
    said, before = summary.get("charges"), previous.get("charges")
    ended = (0, charges.opening(summary["owner"]).hex())
    if before is not None:
        ended = (before["first"] + before["count"], before["head"])
    if said is not None and (said["first"], said["before"]) != ended:
        raise BadStatement(f"the month of {previous['period']} ended with another charge: its statement is not whole")


def contains(verified: Verified, leaf: verify.VerifiedLeaf) -> None:
    """Returns when the output of a verified receipt stands in the statement, if it belongs there.

    Raises BadStatement when it belongs to this account and is missing, or is not a use at all.
    """
    usage = leaf.data.get("usage")
    if leaf.kind != "output.sealed" or not isinstance(usage, dict):
        raise BadStatement("the receipt is not of a metered output")
    summary = verified.summary
    if usage.get("account") != summary["account"]:
        raise BadStatement("the output belongs to another owner or month")
    number = verified.seen.get(leaf.subject.removeprefix("output:"))
    if number != usage.get("number"):
        raise BadStatement(f"use {usage.get('number')} of the log is not in the statement")


def complete(summary: Mapping[str, Any], bodies: Iterable[bytes]) -> int:
    """Goes through the log's leaves (bodies that were verified, in order) and finds every use of the account.

    Returns how many. Raises BadStatement for a use or a charge the statement lacks, and for two histories of either.
    """
    said = summary.get("charges") or {}
    charged = (said.get("first", 0), said.get("first", 0) + said.get("count", 0))
    count, charge_head = 0, charges.opening(summary["owner"])
    charge_name = charges.account(summary["owner"]).hex().encode()
    head = usage_leaf.opening(bytes.fromhex(summary["account"]), bytes.fromhex(summary["before"]))
    name = summary["account"].encode()
    found = 0
    for body in bodies:
        if charge_name in body:
            event = canonical.decode(body)
            charge = event["data"].get("charge")
            if event["kind"] != "charge.made" or not isinstance(charge, dict):
                continue
            charge_head = usage_leaf.advance(charge_head, bytes.fromhex(charge["leaf"]))
            if charge["number"] != count or charge["head"] != charge_head.hex():
                raise BadStatement(f"the log has two histories of the owner's charges, from charge {count} on")
            count += 1
            if said and count == charged[1] and charge_head.hex() != said["head"]:
                raise BadStatement("the log's charges are others than the statement's")
            if summary["final"] and count > charged[1] and event["at"].startswith(summary["period"]):
                raise BadStatement(f"the log has a charge of this month, {charge['number']}, that the statement lacks")
            continue
        if name not in body:
            continue
        event = canonical.decode(body)
        usage = event["data"].get("usage")
        if (
            event["kind"] != "output.sealed"
            or not isinstance(usage, dict)
            or usage.get("account") != summary["account"]
        ):
            continue
        head = usage_leaf.advance(head, bytes.fromhex(usage["leaf"]))
        if usage["number"] != found or usage["head"] != head.hex():
            raise BadStatement(f"the log has two histories of this account, from use {found} on")
        found += 1
        if found == summary["uses"] and head.hex() != summary["head"]:
            raise BadStatement("the log's uses are others than the statement's")
    if found < summary["uses"] or (summary["final"] and found > summary["uses"]):
        raise BadStatement(f"the log has {found} uses of this account, the statement {summary['uses']}")
    if count < charged[1]:
        raise BadStatement(f"the log has {count} charges of this owner, the statement counts {charged[1]}")
    return found
