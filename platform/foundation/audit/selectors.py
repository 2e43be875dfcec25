"""Reading the log."""

from collections.abc import Callable, Iterator
from typing import Any

from foundation.audit import canonical, people
from foundation.audit.errors import NoSuchLeaf
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor

AUDIT = "audit:read"
"""The scope that sees every body."""


def leaves(*, start: int, limit: int) -> list[Leaf]:
    """Up to ``limit`` leaves from index ``start``, in order."""
    return list(Leaf.objects.filter(index__gte=start, index__lt=start + limit).order_by("index"))


def all_leaves(*, below: int) -> Iterator[Leaf]:
    """The leaves with an index below ``below``, in order, in constant memory."""
    return Leaf.objects.filter(index__lt=below).order_by("index").iterator(chunk_size=1000)


def leaf_for(*, actor: Actor, index: int) -> Leaf:
    """A leaf the actor may see whole: an auditor sees each, a person those that they did or that are about them.

    Raises NoSuchLeaf, the same for one that is not there and one that is another's.
    """
    leaf = Leaf.objects.filter(index=index).first()
    if leaf is None:
        raise NoSuchLeaf
    if not may_see(actor, canonical.decode(bytes(leaf.body))):
        raise NoSuchLeaf
    return leaf


def may_see(actor: Actor, body: dict[str, Any]) -> bool:
    """Whether the actor may read an event: an auditor each, a person those that they did or that are about them."""
    return sight(actor)(body)


def sight(actor: Actor) -> Callable[[dict[str, Any]], bool]:
    """``may_see`` for many events of one actor."""
    return (lambda body: True) if AUDIT in actor.scopes else people.sight(actor)
