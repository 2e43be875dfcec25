"""``manage.py licence_audit``: replays every recording of a period against the licences in force at its time."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from foundation.clock import now
from marketplace import auditing

DAYS = 30
"""The period without ``--since``."""
SHOWN = 50
"""Findings printed; the report has more."""


def _moment(text: str) -> datetime:
    """ISO 8601; without a zone it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = (
        "Replays all outputs of a period against the licences in force at their time, and lists every breach, over-use "
        "and unlicensed output with its log entries; exit code 1 when there is any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=_moment, help=f"ISO 8601; {DAYS} days ago by default")
        parser.add_argument("--until", type=_moment, help="ISO 8601; now by default")
        parser.add_argument("--json", type=Path, metavar="FILE", help="the whole report, with the log's proofs")

    def handle(self, *args: Any, **options: Any) -> None:
        until = options["until"] or now()
        since = options["since"] or until - timedelta(days=DAYS)
        if since >= until:
            raise CommandError("The period begins before it ends.", returncode=2)
        found = auditing.audit(since=since, until=until)
        report = auditing.report(found)
        if options["json"] is not None:
            options["json"].write_text(json.dumps(report, indent=2) + "\n")
        for one in found.findings[:SHOWN]:
            leaves = ", ".join(map(str, one.leaves)) or "none"
            more = f" ({one.said})" if one.said else ""
            self.stdout.write(f"BREACH {one.kind}: {one.subject}{more}, {auditing.KINDS[one.kind]}; entries {leaves}")
        told = f"{found.outputs} outputs under {found.licences} licences, {since.isoformat()} to {until.isoformat()}"
        if found.counts:
            counts = ", ".join(f"{kind} {count}" for kind, count in sorted(found.counts.items()))
            raise CommandError(f"{sum(found.counts.values())} finding(s) in {told}: {counts}.", returncode=1)
        self.stdout.write(f"No breach: {told}.")
