from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from foundation.keys import KeyFiles, KeyTrouble


class Command(BaseCommand):
    """Creates the platform's key files that are missing; never replaces one."""

    help = "Creates the key files that are missing in VOUCH_KEYS; never replaces one."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = KeyFiles(settings.VOUCH_KEYS).make_missing()
        except KeyTrouble as error:
            raise CommandError(f"{error.detail} {error.advice}") from error
        self.stdout.write(f"Made in {settings.VOUCH_KEYS}: {', '.join(made) or 'nothing, all are there'}.")
