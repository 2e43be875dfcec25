import json
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from retention import auditing


class Command(BaseCommand):
    """Walks database, storage, key store and temporary places for what should not be there. Exit 1 if there is any."""

    help = "Lists strays, orphans, overdue recordings and sound in the clear; exit 1 if there is any."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--temporary",
            action="append",
            type=Path,
            metavar="FOLDER",
            help="where no sound may lie in the clear; instead of VOUCH_VAR and the temporary folder; repeatable",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object a finding")

    def handle(self, *args: Any, **options: Any) -> None:
        places = options["temporary"] or [settings.VOUCH_VAR, Path(tempfile.gettempdir())]
        found = auditing.audit(places)
        for finding in found:
            text = {"kind": finding.kind, "where": finding.where, "detail": finding.detail}
            self.stdout.write(json.dumps(text) if options["json"] else str(finding))
        if found:
            raise SystemExit(1)
        if not options["json"]:
            self.stdout.write("Nothing: no stray, no orphan, nothing overdue, no sound in the clear.")
