from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.keys import KeyFiles
from foundation.vault import rotation
from foundation.vault.models import KeyState, VaultKey


class Command(BaseCommand):
    """Gives the vault new keys; no sealed object is read or written. May be stopped and run again."""

    help = "Rotates the master key, or the keys of a kind; sealed objects are not touched. See docs/vault.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("level", choices=["master", "keys"], help="master: what wraps all; keys: vault keys")
        parser.add_argument("--kind", help="with `keys`: only this kind, such as voice or custody")
        parser.add_argument("--owner", help="with `keys`: only this owner's")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = Actor.system("rotate_keys")
        try:
            if options["level"] == "master":
                local = None if settings.VOUCH_KMS_KEY else KeyFiles(settings.VOUCH_KEYS)
                count = rotation.rotate_master(keys=local, actor=actor)
                self.stdout.write(f"{count} keys are wrapped under the new master key.")
                return
            found = VaultKey.objects.filter(state=KeyState.ACTIVE)
            for field, value in (("kind", options["kind"]), ("owner_ref", options["owner"])):
                found = found.filter(**{field: value}) if value else found
            ids = list(found.order_by("id").values_list("id", flat=True))
            total = sum(rotation.rotate_key(key=VaultKey.objects.get(id=key_id), actor=actor) for key_id in ids)
            self.stdout.write(f"{len(ids)} keys have new material; {total} objects' data keys were wrapped anew.")
        except VouchError as error:
            raise CommandError(f"{error.detail} {error.advice}".strip()) from error
