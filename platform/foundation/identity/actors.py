"""Who is acting. Every service takes an ``Actor``; every log leaf names one."""

from dataclasses import dataclass
from uuid import UUID

from foundation.errors import NotAllowed
from foundation.identity.models import Person
from foundation.identity.scopes import ALL, BY_ROLE


class MissingScope(NotAllowed):
    """This key does not have the scope that the request needs."""

    code = "missing_scope"
    advice = "Use a key with this scope, or issue one (POST /api/v1/keys)."


class WrongRole(NotAllowed):
    """This act belongs to another role."""

    code = "wrong_role"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person through a session or key, or a named part of the system itself."""

    person_id: UUID | None
    role: str
    scopes: frozenset[str]
    name: str

    @classmethod
    def of(cls, person: Person, scopes: frozenset[str] | None = None) -> "Actor":
        """The person's actor; ``scopes`` narrows what the role permits and never widens it."""
        allowed = BY_ROLE[person.role]
        return cls(person.id, person.role, allowed if scopes is None else scopes & allowed, person.display_name)

    @classmethod
    def system(cls, name: str) -> "Actor":
        return cls(None, "system", ALL, name)

    @property
    def label(self) -> str:
        """What the log shows: an opaque id, never a name or address."""
        return f"person:{self.person_id}" if self.person_id else f"system:{self.name}"

    def require_scope(self, scope: str) -> None:
        if scope not in self.scopes:
            raise MissingScope(f"The scope '{scope}' is needed.", scope=scope)

    def require_role(self, *roles: str) -> None:
        if self.role not in roles:
            raise WrongRole(f"Only for: {', '.join(roles)}.")
