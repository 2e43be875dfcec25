from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.audit import checkpoints, publish
from foundation.audit.errors import PublishedElsewhere


class Command(BaseCommand):
    """Brings a folder of static tiles up to the log as it is now."""

    help = "Signs the log and writes its tiles into a folder for any web server; `vouch verify-log DIR` checks it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--entries",
            action="store_true",
            help="the events themselves too: for an auditor's mirror, not for the world",
        )

    def handle(self, *args: Any, folder: Path, entries: bool, **options: Any) -> None:
        checkpoints.make()
        try:
            size = publish.publish(folder, entries=entries)
        except PublishedElsewhere as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{size} leaves published in {folder}.")
