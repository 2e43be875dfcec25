"""Removes a person's lost second factor. Whoever runs this has made sure, by other means, that it is that person."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from foundation.identity import second_factor
from foundation.identity.actors import Actor
from foundation.identity.models import Person


class Command(BaseCommand):
    help = "Removes the second factor of EMAIL, so that a new one can be set up."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        person = Person.objects.filter(email=options["email"].strip().lower()).first()
        if person is None:
            raise CommandError("There is no such person.")
        done = second_factor.remove(actor=Actor.system("command line"), person=person)
        self.stdout.write("Removed." if done else "There was none.")
