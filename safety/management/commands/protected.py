from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation import keys
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from safety import exchange
from safety.policy import library
from safety.projection import SECRET_BYTES

ACTOR = Actor.system("protected")
MAX_SECRET: Final = 256


class Command(BaseCommand):
    """Exchanges protected voices with other platforms, as signed bank files."""

    help = "export | import of signed banks of protected voices (see docs/policy.md)"

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        out = acts.add_parser("export", help="writes this platform's bank")
        out.add_argument("file", type=Path)
        out.add_argument("--origin", required=True, help="this platform's name in the federation")
        into = acts.add_parser("import", help="takes another platform's bank in")
        into.add_argument("file", type=Path)
        into.add_argument("--trust", required=True, help="the origin's public key, 64 hexadecimal digits")
        for one in (out, into):
            one.add_argument(
                "--secret-file", type=Path, required=True, help="the federation's secret, 64 hexadecimal digits"
            )

    def handle(self, *args: Any, act: str, file: Path, secret_file: Path, **options: Any) -> None:
        secret = _secret(secret_file)
        try:
            if act == "export":
                self._export(file, secret, str(options["origin"]))
            else:
                self._import(file, secret, str(options["trust"]))
        except VouchError as error:
            raise CommandError(f"{error.code}: {error}") from error

    def _export(self, file: Path, secret: bytes, origin: str) -> None:
        if file.exists():
            raise CommandError(f"{file} exists.")
        key = keys.private_key(library.OWN_KEY)
        file.write_bytes(exchange.export(origin=origin, secret=secret, private_key=key, actor=ACTOR))
        self.stdout.write(f"{file} is signed by {keys.public_key(library.OWN_KEY).hex()}")

    def _import(self, file: Path, secret: bytes, trust: str) -> None:
        try:
            with file.open("rb") as handle:
                data = handle.read(exchange.MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        done = exchange.import_bank(data=data, secret=secret, trust=trust, actor=ACTOR)
        self.stdout.write(f"{done.origin}: {done.added} added, {done.removed} removed, {done.kept} kept")


def _secret(file: Path) -> bytes:
    try:
        text = file.read_text(encoding="ascii")[:MAX_SECRET].strip()
        secret = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} does not hold the federation's secret.") from error
    if len(secret) != SECRET_BYTES:
        raise CommandError(f"{file} does not hold the federation's secret.")
    return secret
