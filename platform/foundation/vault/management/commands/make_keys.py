from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from foundation import certificates
from foundation.keys import KeyFiles, KeyTrouble
from foundation.vault import keystore


class Command(BaseCommand):
    """Creates the platform's key files and key store where they are missing; never replaces one."""

    help = "Creates the key files that are missing in VOUCH_KEYS, and the key store; never replaces one."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = KeyFiles(settings.VOUCH_KEYS).make_missing() + certificates.make_missing(settings.VOUCH_KEYS)
            if keystore.current().make():
                made.append(f"the empty key store {settings.VOUCH_KEYSTORE}")
        except KeyTrouble as error:
            raise CommandError(f"{error.detail} {error.advice}") from error
        self.stdout.write(f"Made in {settings.VOUCH_KEYS}: {', '.join(made) or 'nothing, all are there'}.")
