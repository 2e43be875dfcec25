"""``manage.py what_if --speaker-threshold 0.9 --since 2026-11-01``: past decisions another threshold would flip."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from consent import decisions, reruns

SHOWN = 200
"""Flips that are listed; the counts cover all."""


def moment(text: str) -> datetime:
    """An ISO date or time; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Lists past decisions that other thresholds would change. Reads stored evidence only and changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        for kind in decisions.RULES:
            name = kind.replace("_", "-")
            parser.add_argument(f"--{name}-threshold", type=float, dest=f"at_{kind}", metavar="NUMBER")
        parser.add_argument("--since", type=moment, help="only decisions from this date or time (UTC) on")
        parser.add_argument("--of", choices=("challenge", "recording"), help="only decisions about these")

    def handle(self, *args: Any, **options: Any) -> None:
        thresholds = {kind: value for kind in decisions.RULES if (value := options[f"at_{kind}"]) is not None}
        if "speaker" in thresholds:
            # The same question, asked of a whole recording and of each of its windows.
            thresholds.setdefault("speaker_windows", thresholds["speaker"])
        if not thresholds:
            raise CommandError("Name at least one threshold, for example --speaker-windows-threshold 0.9.")
        flips, counts, read = reruns.what_if(thresholds, since=options["since"], purpose=options["of"])
        for flip in flips[:SHOWN]:
            at = flip.decided_at.isoformat(timespec="seconds") if flip.decided_at else "-"
            unknown = f"; never measured: {', '.join(flip.unknown)}" if flip.unknown else ""
            self.stdout.write(f"{flip.examination_id}  {at}  {flip.before} -> {flip.after}  by {flip.by}{unknown}")
        if len(flips) > SHOWN:
            self.stdout.write(f"... and {len(flips) - SHOWN} more")
        for text, count in counts.most_common():
            self.stdout.write(f"{count:6d}  {text}")
        self.stdout.write(f"{len(flips)} of {read} decisions would change.")
