"""Which versions of the engine this deployment offers, what a voice of each costs, and why another is not to be had.

Names and tables only: the web process asks here and loads no model.
"""

from dataclasses import dataclass

from django.conf import settings

from cloning import errors
from cloning.engine import versions
from cloning.engine.costs import MACHINE, Cost, cost


@dataclass(frozen=True, slots=True)
class Offer:
    """``missing``: what the deployment's folder lacks for it; empty, and ``offered``, when it can be chosen."""

    version: str
    offered: bool
    missing: tuple[str, ...]
    cost: Cost
    measured_on: str = MACHINE


def offers() -> list[Offer]:
    """Every version in the order of the family, the starter first."""
    return [_offer(version) for version in versions.VERSIONS]


def cost_of(version: str) -> Cost:
    """Raises KeyError for a version that does not exist."""
    return cost(version, settings.VOUCH_FLOW_STEPS)


def check_version(version: str) -> str:
    """Raises VersionUnknown, VersionNotOffered (nothing is mounted for it), BaseIncomplete (files are missing)."""
    if version not in versions.VERSIONS:
        raise errors.VersionUnknown(f"Known: {', '.join(versions.VERSIONS)}.")
    found = _offer(version)
    if found.offered:
        return version
    if settings.VOUCH_BASES is None or not (settings.VOUCH_BASES / version).is_dir():
        raise errors.VersionNotOffered(f"No base of version {version} is mounted here.")
    raise errors.BaseIncomplete(f"The base of version {version} lacks {', '.join(found.missing)}.")


def _offer(version: str) -> Offer:
    lacking: tuple[str, ...] = ()
    if version != versions.STARTER:
        bases = settings.VOUCH_BASES
        lacking = (f"{version}/",) if bases is None else tuple(versions.missing(bases, version))
    return Offer(version, not lacking, lacking, cost_of(version))
