"""``manage.py rerun_decision ID [--listen]``: takes a stored decision again and says equal, or what differs."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from consent import reruns
from foundation.errors import NotFound, VouchError


class Command(BaseCommand):
    help = "Takes an examination's decision again from its stored evidence; exit code 1 when anything differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("examination", type=UUID)
        parser.add_argument("--listen", action="store_true", help="also examine the recording again, while it is held")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = reruns.decided(options["examination"])
        except NotFound as error:
            raise CommandError(error.detail) from error
        result = reruns.rerun(found)
        differences = list(result.differences)
        self.stdout.write(f"recorded: {result.recorded[0]} ({result.recorded[1]})")
        for remark in result.remarks:
            self.stdout.write(f"note: {remark}")
        if options["listen"]:
            try:
                differences += reruns.listen_again(found)
            except VouchError as error:
                self.stdout.write(f"note: it cannot be listened to again: {error.detail}")
        for text in differences:
            self.stdout.write(f"DIFFERS: {text}")
        if differences:
            raise CommandError(f"{len(differences)} difference(s).", returncode=1)
        self.stdout.write("EQUAL")
