from typing import Any

from django.core.management.base import BaseCommand

from foundation.identity.actors import Actor
from safety import protected


class Command(BaseCommand):
    """Gives every search template a fresh projection and destroys the old secret."""

    help = "Projects all protected and enrolled voices anew: a copy that leaked before fits nothing afterwards."

    def handle(self, *args: Any, **options: Any) -> None:
        count = protected.rekey(actor=Actor.system("rekey_protected"))
        self.stdout.write(f"{count} templates have a new projection; the old secret is destroyed.")
