"""What happened in a period, counted from the log's events alone. Pure.

The platform counts when it makes a bundle and ``vouch verify-bundle`` counts again: both call this, from the same
leaves, so a figure that was embellished is found.
"""

from collections import Counter
from datetime import datetime
from statistics import median
from typing import Any, Final

OWN: Final = "own voice"
"""Stands for the licence of an output that the voice's owner made without one."""


class Tally:
    """Counts events one by one; ``figures`` is what stands in the bundle."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.unseen = 0
        self._refused: dict[str, Counter[str]] = {}
        self._failed: Counter[str] = Counter()
        self._decided: Counter[str] = Counter()
        self._outputs: Counter[str] = Counter()
        self._characters: Counter[str] = Counter()
        self._rehearsal = 0
        self._destroyed: Counter[str] = Counter()
        self._kept: list[float] = []
        self._delays: list[float] = []
        self._keys: dict[str, datetime] = {}
        self._erasures: list[float] = []

    def hidden(self) -> None:
        """A leaf whose body is not the reader's to see: it is in the tree, and in no other figure."""
        self.unseen += 1

    def add(self, body: dict[str, Any]) -> None:
        """One event. Raises KeyError, TypeError or ValueError for one that lacks what its kind has to state."""
        kind, data = body["kind"], body["data"]
        self.events[kind] += 1
        self._rehearsal += bool(body["rehearsal"])
        match kind:
            case "clearance.refused":
                self._refused.setdefault(data["purpose"], Counter())[data["code"]] += 1
            case "output.failed" | "voice.failed" | "voice.instant_failed" | "mask.failed":
                self._failed[data["code"]] += 1
            case "case.decided":
                # A moderator's case has a decision, a consent's review an outcome.
                self._decided[str(data.get("decision") or data.get("outcome"))] += 1
            case "output.sealed":
                licence = data["licence"] or OWN
                self._outputs[licence] += 1
                self._characters[licence] += data["characters"]
            case "custody.destroyed":
                self._destroy(data)
            case "key.destroyed":
                self._keys[body["subject"]] = datetime.fromisoformat(body["at"])
            case "key.erased":
                asked = self._keys.pop(body["subject"], None)
                if asked is not None:
                    self._erasures.append((datetime.fromisoformat(data["erased_at"]) - asked).total_seconds())

    def figures(self) -> dict[str, Any]:
        """JSON-safe; times in seconds."""
        return {
            "events": dict(sorted(self.events.items())),
            "events_not_shown": self.unseen,
            "events_of_rehearsals": self._rehearsal,
            "requests": {
                "voices": self.events["voice.requested"],
                "speech": self.events["speech.requested"],
                "speech_held_for_a_moderator": self.events["speech.held"],
                "traces": self.events["mark.traced"],
            },
            "refusals": {purpose: dict(sorted(codes.items())) for purpose, codes in sorted(self._refused.items())},
            "failures": dict(sorted(self._failed.items())),
            "decisions": dict(sorted(self._decided.items())),
            "consents": {state: self.events[f"consent.{state}"] for state in ("given", "withdrawn", "expired")},
            "outputs": {
                licence: {"outputs": count, "characters": self._characters[licence]}
                for licence, count in sorted(self._outputs.items())
            },
            "deletions": {
                "by_reason": dict(sorted(self._destroyed.items())),
                "after_their_deadline": sum(delay > 0 for delay in self._delays),
                "seconds_kept": _spread(self._kept),
                "seconds_past_deadline": _spread([delay for delay in self._delays if delay > 0]),
                "seconds_to_key_erasure": _spread(self._erasures),
            },
        }

    def _destroy(self, data: dict[str, Any]) -> None:
        received, deadline, destroyed = (
            datetime.fromisoformat(data[key]) for key in ("received_at", "deadline", "destroyed_at")
        )
        self._destroyed[data["reason"]] += 1
        self._kept.append((destroyed - received).total_seconds())
        self._delays.append((destroyed - deadline).total_seconds())


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"median": round(median(values), 3), "most": round(max(values), 3), "count": len(values)}
