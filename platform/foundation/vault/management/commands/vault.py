import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.vault import bench, erasing, keystore, lifecycle, start, timeguard


class Command(BaseCommand):
    """The operator's look at the vault, and the acts that need one."""

    help = "check | reconcile | erase-orphans | accept-clock | lifecycle | bench: see docs/vault.md."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("check", help="key ring, key store, storage, clock; exit 1 when something is wrong")
        acts.add_parser("reconcile", help="after a key store was put back: erase again what had been erased")
        acts.add_parser(
            "erase-orphans", help="keys of acts that were rolled back; not while an old database is in place"
        )
        accept = acts.add_parser("accept-clock", help="the clock had been wrong and is right now")
        accept.add_argument("--reason", required=True)
        acts.add_parser("lifecycle", help="print rules for the bucket, as `aws s3api` takes them")
        acts.add_parser("bench", help="MB/s of sealing and opening on one core")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, "_" + options["act"].replace("-", "_"))(options)
        except VouchError as error:
            raise CommandError(f"{error.code}: {error.detail} {error.advice}".strip()) from error

    def _check(self, options: dict[str, Any]) -> None:
        start.check()
        if back := erasing.strays():
            raise CommandError(f"{len(back)} erased keys have material again: run `manage.py vault reconcile`.")
        self.stdout.write(
            f"The vault is fit. Key-store epoch {keystore.epoch()}, {len(erasing.orphans())} keys of nothing."
        )

    def _reconcile(self, options: dict[str, Any]) -> None:
        count = erasing.reconcile(actor=Actor.system("vault reconcile"))
        self.stdout.write(f"{count} keys were erased again. Key-store epoch {keystore.epoch()}.")

    def _erase_orphans(self, options: dict[str, Any]) -> None:
        count = erasing.erase_orphans(actor=Actor.system("vault erase-orphans"))
        self.stdout.write(f"{count} keys of nothing were erased. Key-store epoch {keystore.epoch()}.")

    @transaction.atomic
    def _accept_clock(self, options: dict[str, Any]) -> None:
        timeguard.accept(reason=options["reason"], actor=Actor.system("vault accept-clock"))
        self.stdout.write("The clock is taken for right; the log says so.")

    def _lifecycle(self, options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(lifecycle.recommended(settings.VOUCH_S3_PREFIX), indent=2))

    def _bench(self, options: dict[str, Any]) -> None:
        for name, rate in bench.rates().items():
            self.stdout.write(f"{name:6}{rate:8.0f} MB/s on one core")
