"""``manage.py publish_rates FILE``: keeps a day's rate table and writes its hash into the log."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.errors import VouchError
from foundation.identity.actors import Actor
from marketplace.statements import making

MAX_FILE = 64 * 1024


class Command(BaseCommand):
    help = 'Publishes rates: {"v": 1, "date": "2026-11-30", "base": "EUR", "rates": {"USD": "1.0853"}}.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                data = file.read(MAX_FILE + 1)
            if len(data) > MAX_FILE:
                raise CommandError("That is no rate table: it is too large.")
            table = json.loads(data)
        except (OSError, ValueError, RecursionError) as error:
            raise CommandError(str(error)) from error
        try:
            published = making.publish_rates(actor=Actor.system("publish_rates"), table=table)
        except VouchError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error
        self.stdout.write(f"{published.date} {published.sha256}")
