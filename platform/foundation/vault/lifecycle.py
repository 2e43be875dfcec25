"""A bucket's own rules as the last net under the sweep: what they must say, and what they must not. Pure.

S3 acts on its rules once a day or so: no rule can promise 72 hours. They catch what a lost database would leave behind.
"""

from collections.abc import Sequence
from typing import Any, Final

BRIEF: Final = "brief/"
"""Under this, behind the storage's prefix, lies what has a deadline of at most three days: raw recordings."""

BRIEF_DAYS: Final = (3, 7)
"""When the bucket itself may drop it: no earlier than the latest deadline, no later than a week."""

NET_DAYS: Final = 3
"""At most this long live unfinished uploads, and versions that were replaced or deleted."""


def recommended(prefix: str) -> dict[str, Any]:
    """A configuration that passes ``problems``, as ``put-bucket-lifecycle-configuration`` takes it."""
    return {
        "Rules": [
            {
                "ID": "vouch-brief",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix + BRIEF},
                "Expiration": {"Days": BRIEF_DAYS[0] + 1},
            },
            {
                "ID": "vouch-leftovers",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
            },
            {
                # S3 takes this only in a rule of its own.
                "ID": "vouch-markers",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "Expiration": {"ExpiredObjectDeleteMarker": True},
            },
        ]
    }


def problems(
    *, prefix: str, rules: Sequence[dict[str, Any]], versioned: bool, replicated: bool, locked: bool
) -> list[str]:
    """What is wrong with a bucket, one sentence each; empty for one that may be used."""
    active = [rule for rule in rules if rule.get("Status") == "Enabled"]
    here = [rule for rule in active if _covers(rule, prefix)]
    brief = [rule for rule in active if _covers(rule, prefix + BRIEF)]
    found = []
    if not any(BRIEF_DAYS[0] <= _days(rule, "Expiration", "Days") <= BRIEF_DAYS[1] for rule in brief):
        found.append(f"No rule expires {prefix}{BRIEF} after {BRIEF_DAYS[0]} to {BRIEF_DAYS[1]} days.")
    if any(_days(rule, "Expiration", "Days") < BRIEF_DAYS[0] for rule in brief):
        found.append(f"A rule expires {prefix}{BRIEF} before its deadlines.")
    if not any(_days(rule, "AbortIncompleteMultipartUpload", "DaysAfterInitiation") <= NET_DAYS for rule in here):
        found.append(f"No rule aborts unfinished uploads within {NET_DAYS} days.")
    if any(_deletes_what_must_stay(rule, prefix) for rule in active):
        found.append("A rule expires more than recordings: it would delete voices.")
    if versioned:
        if not any(_days(rule, "NoncurrentVersionExpiration", "NoncurrentDays") <= NET_DAYS for rule in here):
            found.append(f"It keeps versions, and no rule expires noncurrent ones within {NET_DAYS} days.")
        if not any(rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker") for rule in here):
            found.append("It keeps versions, and no rule removes expired delete markers.")
    if replicated:
        found.append("It is replicated: copies elsewhere would outlive their deadline.")
    if locked:
        found.append("It has object lock: versions could not be deleted.")
    return found


def _covers(rule: dict[str, Any], prefix: str) -> bool:
    """Whether the rule holds for everything under the prefix: a filter by tag or size leaves things out."""
    where = rule.get("Filter", {"Prefix": rule.get("Prefix", "")})
    return set(where) <= {"Prefix"} and prefix.startswith(where.get("Prefix", ""))


def _deletes_what_must_stay(rule: dict[str, Any], prefix: str) -> bool:
    """Whether the rule expires objects under the prefix that do not lie under ``BRIEF``, whatever else it asks."""
    expires = rule.get("Expiration", {})
    if "Days" not in expires and "Date" not in expires:
        return False
    where = rule.get("Filter", {"Prefix": rule.get("Prefix", "")})
    named = where.get("Prefix", where.get("And", {}).get("Prefix", ""))
    touches = named.startswith(prefix) or prefix.startswith(named)
    return touches and not named.startswith(prefix + BRIEF)


def _days(rule: dict[str, Any], action: str, field: str) -> float:
    return float(rule.get(action, {}).get(field, "inf"))
