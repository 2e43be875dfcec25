"""A licence's scope as an ODRL 2.2 policy under a profile of our own, and back. Pure.

ODRL Information Model 2.2 (W3C Recommendation, 2018): an Agreement has permissions with constraints and duties, and
prohibitions. The profile adds to its Common Vocabulary what a voice needs: the action ``vouch:synthesise``, the left
operands ``vouch:seats``, ``vouch:topic`` and ``vouch:notice``, the units of ``count``, and what is kept after the end.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from consent.scopes import Scope, ScopeInvalid, parse

CONTEXT: Final = "http://www.w3.org/ns/odrl.jsonld"
PROFILE: Final = "urn:vouch:odrl:voice:1"
ACTION: Final = "vouch:synthesise"
_SETS: Final = {
    "uses": "purpose", "languages": "language", "territory": "spatial", "channels": "deliveryChannel"
}  # fmt: skip
_UNITS: Final = {"seconds": "vouch:second", "outputs": "vouch:output"}
CHARACTER: Final = "vouch:character"
MAX_RULES: Final = 32


class OdrlInvalid(ScopeInvalid):
    """This is no policy of the profile."""

    def __init__(self, message: str) -> None:
        super().__init__("odrl", message)


def policy(
    scope: Scope, *, uid: str, assigner: str, assignee: str, target: str, characters: int, until: datetime
) -> dict[str, Any]:
    """The agreement, JSON-LD. ``uid`` and parties are URNs; ``characters`` the cap; ``until`` the end of the term."""
    constraints = [_constraint("dateTime", "lt", until.isoformat()), _count(CHARACTER, characters)]
    for name, operand in _SETS.items():
        value = getattr(scope, name)
        if value is not None:
            constraints.append(_constraint(operand, "isAnyOf", sorted(value)))
    for name, unit in _UNITS.items():
        value = getattr(scope.caps, name)
        if value is not None:
            constraints.append(_count(unit, value))
    if scope.caps.seats is not None:
        constraints.append(_constraint("vouch:seats", "lteq", scope.caps.seats))
    duties: list[dict[str, Any]] = [{"action": "vouch:label"}]
    if scope.attribution:
        duties.append({"action": "attribute", "vouch:text": scope.attribution})
    if scope.moderation != "standard":
        duties.append({"action": "obtainConsent", "vouch:texts": scope.moderation})
    permission = {"target": target, "action": ACTION, "constraint": constraints, "duty": duties}
    found: dict[str, Any] = {
        "@context": [CONTEXT, {"vouch": f"{PROFILE}#"}],
        "@type": "Agreement",
        "uid": uid,
        "profile": PROFILE,
        "assigner": assigner,
        "assignee": assignee,
        "permission": [permission],
        "vouch:notice": f"P{scope.notice_days}D",
        "vouch:survival": scope.survival,
        "vouch:exclusive": scope.exclusive,
    }
    if scope.blocked:
        topics = _constraint("vouch:topic", "isAnyOf", sorted(scope.blocked))
        found["prohibition"] = [{"target": target, "action": ACTION, "constraint": [topics]}]
    return found


def read(found: Mapping[str, Any]) -> tuple[Scope, int, datetime]:
    """Scope, cap of characters and end of a policy that ``policy`` could have written. Raises OdrlInvalid.

    What is not understood is refused, as ODRL asks of a profile's reader: a rule that is passed over is not obeyed.
    """
    try:
        return _read(found)
    except OdrlInvalid:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise OdrlInvalid(f"Not a policy of {PROFILE}.") from error


def _read(found: Mapping[str, Any]) -> tuple[Scope, int, datetime]:
    (permission,) = found["permission"]
    constraints, duties = permission["constraint"], permission["duty"]
    if len(constraints) > MAX_RULES or len(duties) > MAX_RULES:
        raise OdrlInvalid("Too many rules.")
    raw: dict[str, Any] = {"caps": {}, "survival": found["vouch:survival"], "exclusive": found["vouch:exclusive"]}
    characters, until = 0, None
    by_operand = {operand: name for name, operand in _SETS.items()}
    by_unit = {unit: name for name, unit in _UNITS.items()}
    for one in constraints:
        operand, value = one["leftOperand"], one["rightOperand"]
        if operand in by_operand:
            raw[by_operand[operand]] = value
        elif operand == "dateTime":
            until = datetime.fromisoformat(value)
        elif operand == "vouch:seats":
            raw["caps"]["seats"] = value
        elif one["unit"] == CHARACTER:
            characters = value
        else:
            raw["caps"][by_unit[one["unit"]]] = value
    for duty in duties:
        if duty["action"] == "attribute":
            raw["attribution"] = duty["vouch:text"]
        elif duty["action"] == "obtainConsent":
            raw["moderation"] = duty["vouch:texts"]
    for rule in found.get("prohibition", []):
        raw["blocked"] = rule["constraint"][0]["rightOperand"]
    raw["notice_days"] = int(found["vouch:notice"].removeprefix("P").removesuffix("D"))
    if until is None:
        raise OdrlInvalid("A policy ends.")
    scope = parse(raw)
    parties = {name: found[name] for name in ("uid", "assigner", "assignee")}
    again = policy(scope, **parties, target=permission["target"], characters=characters, until=until)
    if again != found:
        raise OdrlInvalid("The policy says something this profile does not know.")
    return scope, characters, until


def _constraint(operand: str, operator: str, value: Any) -> dict[str, Any]:
    return {"leftOperand": operand, "operator": operator, "rightOperand": value}


def _count(unit: str, most: int) -> dict[str, Any]:
    return {**_constraint("count", "lteq", most), "unit": unit}
