"""``manage.py create_person EMAIL --name … --role moderator``: the only way staff accounts come to be."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from foundation.identity import services
from foundation.identity.actors import Actor
from foundation.identity.models import Role


class Command(BaseCommand):
    help = "Creates an account of any role. The password is read from VOUCH_NEW_PASSWORD; prints an API key once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", required=True)
        parser.add_argument("--role", choices=Role.values, default=Role.MEMBER)

    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get("VOUCH_NEW_PASSWORD", "")
        actor = Actor.system("command-line")
        person = services.register_person(
            actor=actor,
            email=options["email"],
            display_name=options["name"],
            password=password,
            role=options["role"],
        )
        _, key = services.issue_api_key(actor=actor, person=person, name="first key")
        self.stdout.write(key)
