from argparse import ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.identity.actors import Actor
from foundation.identity.models import Person
from vouch.bundle import make


class Command(BaseCommand):
    """Writes what an auditor needs into one signed file that ``vouch verify-bundle`` checks."""

    help = (
        "Events of a period with their proofs, keys, policy and consent texts, model hashes, deletion certificates and "
        "figures in one signed archive; `vouch verify-bundle FILE` checks it without us."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--from", dest="since", type=_moment, required=True, help="ISO date or time, UTC")
        parser.add_argument("--to", dest="until", type=_moment, required=True, help="the first moment after the period")
        parser.add_argument(
            "--for", dest="email", help="whose eyes it is for: events this person may not see go in as hashes"
        )

    def handle(
        self, *args: Any, file: Path, since: datetime, until: datetime, email: str | None, **options: Any
    ) -> None:
        if since >= until:
            raise CommandError("The period ends before it begins.")
        actor, audience = Actor.system("audit_bundle"), "auditor"
        if email is not None:
            person = Person.objects.filter(email=email, is_active=True).first()
            if person is None:
                raise CommandError("There is no such account.")
            actor, audience = Actor.of(person), f"person:{person.id}"
        try:
            about = make.make(file, since=since, until=until, actor=actor, audience=audience)
        except make.NoEvents as error:
            raise CommandError("The log has no event in this period.") from error
        except FileExistsError as error:
            raise CommandError(f"{file} exists.") from error
        self.stdout.write(f"Leaves {about['first']} to {about['end'] - 1} of {about['size']} written to {file}.")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no date or time") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
