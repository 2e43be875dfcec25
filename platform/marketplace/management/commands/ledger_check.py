"""``manage.py ledger_check``: recounts the ledger and says what does not add up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketplace.ledger import selectors


class Command(BaseCommand):
    help = "Recounts every entry and balance of the ledger; exit code 1 when anything does not add up."

    def handle(self, *args: Any, **options: Any) -> None:
        faults = selectors.faults()
        for fault in faults:
            self.stdout.write(f"WRONG: {fault}")
        if faults:
            raise CommandError(f"{len(faults)} fault(s).", returncode=1)
        self.stdout.write("The ledger adds up.")
