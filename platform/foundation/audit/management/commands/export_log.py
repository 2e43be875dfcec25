import json
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation import keys
from foundation.audit import checkpoints, export, notes, selectors
from foundation.audit.models import Checkpoint


class Command(BaseCommand):
    """Writes the whole log as static files that ``vouch verify-log`` checks."""

    help = "Signs the log as it is now and writes it into a new or empty folder; `vouch verify-log DIR` checks it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CommandError(f"{folder} is not empty.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = checkpoints.make()
        with _create(folder / export.ENTRIES) as file:
            for leaf in selectors.all_leaves(below=newest.size):
                row = {"body": bytes(leaf.body).decode(), "hash": bytes(leaf.leaf_hash).hex(), "index": leaf.index}
                file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n")
        with _create(folder / export.CHECKPOINTS) as file:
            for note in (
                Checkpoint.objects.filter(size__lte=newest.size).order_by("size").values_list("note", flat=True)
            ):
                file.write(json.dumps({"note": note}, ensure_ascii=False) + "\n")
        with _create(folder / export.CHECKPOINT) as file:
            file.write(checkpoints.cosigned(newest))
        with _create(folder / export.PUBLIC_KEY) as file:
            file.write(notes.verifier_key(settings.VOUCH_LOG_ORIGIN, keys.public_key("log")) + "\n")
        self.stdout.write(f"{newest.size} leaves written to {folder}.")


def _create(path: Path) -> Any:
    # The bodies name people by their ids: for the auditor who asked, not for everybody on the host.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
