import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Plants a recording that is known byte for byte in a system of its own, and searches for it after its deadline.

    The system is started for the drill, with servers and workers like any other, in rehearsal: this deployment's data
    and clock are not touched. Needs the repository's synthetic speaker (`demo`).
    """

    help = "Runs a whole cloning request on a system of its own, lets the deadline pass, searches for the recordings."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from demo import canary
        except ImportError as error:
            raise CommandError("The drill's speaker is part of the repository: run it from a checkout.") from error
        with tempfile.TemporaryDirectory(prefix="vouch-canary-") as folder:
            report, drill = canary.run(Path(folder))
        for place, hits in drill.control.items():
            self.stdout.write(f"control {'found' if hits else 'NOT FOUND'}: {place}")
        for hit in drill.found.hits:
            self.stdout.write(f"CANARY: {hit.needle} in {hit.path}")
        self.stdout.write(
            f"{len(drill.found.hits)} hits of the canary in {drill.found.files} files, {drill.found.size} bytes; "
            f"{len(drill.found.unread)} files could not be read."
        )
        if not report.ok or drill.found.hits or drill.found.unread or drill.blind:
            raise SystemExit(1)
