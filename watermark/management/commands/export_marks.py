from typing import Any

from django.core.management.base import BaseCommand

from watermark import selectors


class Command(BaseCommand):
    """Writes every issued payload, one a line: what `vouch verify --marks` searches. Keep it as secret as the key."""

    help = "Writes every issued payload to standard output, one a line, for `vouch verify --marks`."

    def handle(self, *args: Any, **options: Any) -> None:
        for payload in selectors.issued_payloads():
            self.stdout.write(str(payload))
