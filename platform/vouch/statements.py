"""``vouch verify-statement FILE``: an owner's statement, computed again offline.

Beside the file it takes what else is at hand: the statement of the month before (``--previous``), receipts of outputs
that should be in it (``--receipt``), and for auditors an exported log with its bodies (``--log``).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from foundation.audit import export, notes, rebuild, verify
from marketplace.statements import verify as statements
from marketplace.statements.verify import BadStatement, Verified

INTACT, BROKEN = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--previous", type=Path, metavar="FILE", help="the owner's statement of the month before")
    parser.add_argument(
        "--receipt", type=Path, action="append", default=[], metavar="JSON", help="an output's receipt or proof"
    )
    parser.add_argument("--log", type=Path, metavar="DIR", help="an export_log folder with bodies")
    parser.add_argument("--json", action="store_true", help="the verified summary as JSON")


def run(options: argparse.Namespace, public_key: bytes) -> int:
    """Prints what the file proves, or where it does not hold. Raises OSError."""
    try:
        receipts = [_receipt(path, public_key) for path in options.receipt]
        outputs = [leaf.subject.removeprefix("output:") for leaf in receipts]
        with options.file.open("rb") as file:
            found = statements.check(file, public_key, look_for=outputs)
        for leaf in receipts:
            statements.contains(found, leaf)
        extra = [f"{len(receipts)} receipt(s) are in it"] if receipts else []
        if options.previous is not None:
            with options.previous.open("rb") as file:
                previous = statements.check(file, public_key)
            statements.follows(found.summary, previous.summary)
            extra.append(f"it follows {previous.summary['period']} without a gap")
        if options.log is not None:
            uses = _complete(found, options.log, public_key)
            extra.append(f"the exported log has {uses} uses of this account, and no other history")
    except (BadStatement, verify.InvalidReceipt, export.BadExport, notes.BadNote) as error:
        sys.stdout.write(f"BROKEN: {error}\n")
        return BROKEN
    if options.json:
        sys.stdout.write(json.dumps(found.summary, indent=2) + "\n")
    sys.stdout.writelines(f"{line}\n" for line in _said(found, extra))
    return INTACT


def _said(found: Verified, extra: list[str]) -> Iterator[str]:
    summary = found.summary
    kind = "final" if summary["final"] else "so far"
    note = " (REHEARSAL)" if found.rehearsal else ""
    charges = summary.get("charges", {}).get("count", 0)
    more = f" and {charges} charge{'s' if charges > 1 else ''} by the month or of revenue" if charges else ""
    yield (
        f"INTACT: {summary['period']} ({kind}){note}, owner {summary['owner']}: {summary['uses']} uses, "
        f"{summary['characters']} characters{more}, none left out of the account; {_money(summary)}; leaf "
        f"{found.index} of {found.origin}."
    )
    for line in extra:
        yield f"  {line}"


def _money(summary: Mapping[str, Any]) -> str:
    parts = [
        f"{currency} {total['net']} minor units net (gross {total['gross']}, fee {total['fee']}"
        + (f", taken back {total['reversed']}" if total["reversed"] else "")
        + ")"
        for currency, total in summary["totals"].items()
    ]
    payable = summary["payable"]
    if payable:
        parts.append(f"in all {payable['currency']} {payable['minor']} minor units")
    return ", ".join(parts) or "nothing was sold"


def _receipt(path: Path, public_key: bytes) -> verify.VerifiedLeaf:
    """The leaf of a receipt, or of a proof (``/outputs/ID/proof``) that holds one. Raises InvalidReceipt."""
    with path.open("rb") as file:
        found = verify.load_receipt(file.read(verify.MAX_RECEIPT + 1))
    inner = found.get("receipt")
    return verify.verify_receipt(inner if isinstance(inner, dict) else found, public_key)


def _complete(found: Verified, folder: Path, public_key: bytes) -> int:
    """Rebuilds the exported log against its signed checkpoints, then looks for the account in its bodies."""
    report = rebuild.rebuild(export.read_leaves(folder), list(export.read_checkpoints(folder)), public_key)
    if report.findings:
        raise BadStatement(f"the exported log: {report.findings[0]}")
    if report.bodies != report.size:
        raise BadStatement(f"the exported log has only {report.bodies} of {report.size} bodies")
    if report.size <= found.index:
        raise BadStatement("the exported log ends before the statement")
    return statements.complete(found.summary, (leaf.body for leaf in export.read_leaves(folder) if leaf.body))
