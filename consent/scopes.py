"""What a licence allows, as data: its scope, whether it stays inside its consent, and whether it covers a use. Pure.

A scope names what it narrows; what it does not name is as wide as the consent. Three questions are answered here and
nowhere else: is this a scope (``parse``), does it grant more than the consent (``exceeds``), and may this be done under
it (``denials``)? Each no names its clause, so that a refusal can cite it. `consent.odrl` writes a scope as ODRL.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

CHANNELS: Final = (
    "private", "online", "social", "podcast", "audiobook", "game", "app", "telephony", "broadcast", "cinema"
)  # fmt: skip
"""Where a recording may be heard."""
TOPICS: Final = ("money", "politics", "medical", "legal", "contracts")
"""What a text may be about that an owner may forbid, or want to read first (`cloning.topics` recognises them)."""
MODERATION: Final = ("standard", "sensitive", "every")
"""Whose yes a text needs besides the platform's policy: nobody's, the owner's for sensitive topics, for every text."""
SURVIVAL: Final = ("keep", "relabel", "take_down")
"""What becomes of recordings made before when the owner ends the licence."""
SPECIAL_USES: Final = frozenset({"advertising", "political", "adult", "singing", "voice_mask", "cross_lingual"})
"""Uses that a request has to declare; each stands in the consent by its own yes."""
MAX_NOTICE_DAYS: Final = 730
"""Two years, the longest notice found anywhere (facts: ElevenLabs' library); the safety stop overrides it."""
MAX_CAP: Final = 1_000_000_000
MAX_SEATS: Final = 10_000
MAX_ATTRIBUTION: Final = 120
MAX_COUNTRIES: Final = 50
WORLDWIDE: Final = "worldwide"
_COUNTRY: Final = re.compile("[A-Z]{2}")


class ScopeInvalid(ValueError):
    """This is no scope; ``clause`` names what is wrong."""

    def __init__(self, clause: str, message: str) -> None:
        super().__init__(message)
        self.clause = clause


@dataclass(frozen=True, slots=True)
class Caps:
    """Upper bounds over the whole term; None: no bound of that kind. Characters have a column of their own."""

    seconds: int | None = None
    outputs: int | None = None
    seats: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """None: as wide as the consent. ``territory``: ISO 3166-1 alpha-2. ``attribution``: the credit line, or nothing."""

    uses: frozenset[str] | None = None
    languages: frozenset[str] | None = None
    territory: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    blocked: frozenset[str] = frozenset()
    caps: Caps = Caps()
    notice_days: int = 0
    attribution: str = ""
    moderation: str = "standard"
    survival: str = "keep"
    exclusive: bool = False

    def as_json(self) -> dict[str, Any]:
        """Only what differs from the widest scope; lists sorted. ``parse`` takes it back."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            if isinstance(value, frozenset):
                value = sorted(value)
            elif isinstance(value, Caps):
                value = {one.name: n for one in fields(Caps) if (n := getattr(value, one.name)) is not None}
            found[field.name] = value
        return found


@dataclass(frozen=True, slots=True)
class Ground:
    """What a consent allows: the widest any licence under it can be."""

    uses: frozenset[str]
    languages: frozenset[str]
    territory: str
    valid_until: datetime

    @property
    def countries(self) -> frozenset[str] | None:
        """None: everywhere."""
        return None if self.territory == WORLDWIDE else frozenset(self.territory.split(","))


@dataclass(frozen=True, slots=True)
class Use:
    """One text to be spoken, as its requester declares it. An empty ``channel`` or ``territory``: not declared."""

    language: str
    channel: str = ""
    territory: str = ""
    uses: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Denial:
    """One clause that does not allow it, and why in words."""

    clause: str
    says: str


KEYS: Final = frozenset(field.name for field in fields(Scope))


def parse(raw: Mapping[str, Any]) -> Scope:
    """The scope in JSON-like data. Raises ScopeInvalid; a key that is not understood is refused: it would not be
    obeyed."""
    if unknown := set(raw) - KEYS:
        raise ScopeInvalid(sorted(unknown)[0], f"A scope knows: {', '.join(sorted(KEYS))}.")
    territory = _words(raw, "territory")
    if territory is not None and (
        not 1 <= len(territory) <= MAX_COUNTRIES or not all(_COUNTRY.fullmatch(one) for one in territory)
    ):
        raise ScopeInvalid("territory", "A territory is a list of country codes such as DE and FR.")
    attribution = raw.get("attribution", "")
    if not isinstance(attribution, str) or len(attribution.strip()) > MAX_ATTRIBUTION:
        raise ScopeInvalid("attribution", f"A credit line has at most {MAX_ATTRIBUTION} characters.")
    exclusive = raw.get("exclusive", False)
    if not isinstance(exclusive, bool):
        raise ScopeInvalid("exclusive", "'exclusive' is yes or no.")
    return Scope(
        uses=_words(raw, "uses", may_be_empty=True),
        languages=_words(raw, "languages"),
        territory=territory,
        channels=_words(raw, "channels", of=CHANNELS),
        blocked=_words(raw, "blocked", of=TOPICS, may_be_empty=True) or frozenset(),
        caps=_caps(raw.get("caps", {})),
        notice_days=_number("notice_days", raw.get("notice_days", 0), 0, MAX_NOTICE_DAYS),
        attribution=attribution.strip(),
        moderation=_one(raw, "moderation", MODERATION),
        survival=_one(raw, "survival", SURVIVAL),
        exclusive=exclusive,
    )


def exceeds(scope: Scope, ground: Ground, *, until: datetime) -> list[Denial]:
    """Every clause by which the scope, granted ``until`` then, would allow more than the consent. Empty: it stays
    inside."""
    found = []
    if "licence_to_others" not in ground.uses:
        found.append(Denial("uses.licence_to_others", "The speaker did not allow licences to others."))
    for name, wanted, allowed in (
        ("uses", scope.uses, ground.uses),
        ("languages", scope.languages, ground.languages),
        ("territory", scope.territory, ground.countries),
    ):
        if wanted is not None and allowed is not None and (more := sorted(wanted - allowed)):
            found.append(Denial(name, f"The consent does not cover: {', '.join(more)}."))
    if until > ground.valid_until:
        found.append(Denial("term", "A licence ends not after its consent."))
    return found


def denials(scope: Scope, ground: Ground, use: Use) -> list[Denial]:
    """Every clause that does not allow this use, the consent's and the licence's; empty: it is covered."""
    found = [] if "licence_to_others" in ground.uses else [Denial("uses.licence_to_others", "not in the consent")]
    found += _language(scope, ground, use)
    for one in sorted(use.uses):
        if one not in ground.uses or (scope.uses is not None and one not in scope.uses):
            found.append(Denial(f"uses.{one}", f"uses: '{one}' is not among the uses that are licensed"))
    found += _place("channels", use.channel, scope.channels)
    countries = ground.countries if scope.territory is None else scope.territory
    found += _place("territory", use.territory, countries)
    found += [
        Denial(f"blocked.{one}", f"blocked: the owner forbids texts about '{one}'")
        for one in sorted(use.topics & scope.blocked)
    ]
    return found


def narrowed(scope: Scope, limits: Mapping[str, Any]) -> Scope:
    """The scope inside the limits of a licence text (a scope in JSON; its ``seats`` cap is the most there may be).

    What the scope leaves open becomes the text's limit. Raises ScopeInvalid when it names more than the text has.
    """
    bound = parse(limits)
    changed: dict[str, Any] = {}
    for name in ("uses", "channels"):
        wanted, allowed = getattr(scope, name), getattr(bound, name)
        if allowed is None:
            continue
        if wanted is not None and (more := sorted(wanted - allowed)):
            raise ScopeInvalid(name, f"The licence text does not cover: {', '.join(more)}.")
        changed[name] = allowed if wanted is None else wanted
    most = bound.caps.seats
    if most is not None:
        seats = scope.caps.seats or most
        if seats > most:
            raise ScopeInvalid("caps.seats", f"The licence text allows {most} seats at most.")
        changed["caps"] = Caps(scope.caps.seconds, scope.caps.outputs, seats)
    if scope.exclusive != bound.exclusive:
        if scope.exclusive:
            raise ScopeInvalid("exclusive", "Only an exclusive licence text makes a licence exclusive.")
        changed["exclusive"] = True
    return Scope(**{field.name: changed.get(field.name, getattr(scope, field.name)) for field in fields(Scope)})


def _language(scope: Scope, ground: Ground, use: Use) -> list[Denial]:
    if use.language not in ground.languages:
        return [Denial("languages", f"languages: the consent does not cover '{use.language}'")]
    if scope.languages is not None and use.language not in scope.languages:
        covered = ", ".join(sorted(scope.languages))
        return [Denial("languages", f"languages: '{use.language}' is not among the licensed languages ({covered})")]
    return []


def _place(name: str, said: str, allowed: frozenset[str] | None) -> list[Denial]:
    if allowed is None:
        return []
    listed = ", ".join(sorted(allowed))
    if not said:
        return [Denial(name, f"{name}: say where the recording is for; licensed: {listed}")]
    return [] if said in allowed else [Denial(name, f"{name}: '{said}' is not among those licensed ({listed})")]


def _words(
    raw: Mapping[str, Any], key: str, *, of: Iterable[str] | None = None, may_be_empty: bool = False
) -> frozenset[str] | None:
    if key not in raw:
        return None
    value = raw[key]
    if not isinstance(value, list) or not (value or may_be_empty) or not all(isinstance(word, str) for word in value):
        raise ScopeInvalid(key, f"'{key}' is a list of one or more words.")
    if of is not None and (unknown := sorted(set(value) - set(of))):
        raise ScopeInvalid(key, f"'{key}' knows: {', '.join(of)}; not {unknown[0][:40]}.")
    return frozenset(value)


def _caps(raw: Any) -> Caps:
    if not isinstance(raw, dict) or set(raw) - {"seconds", "outputs", "seats"}:
        raise ScopeInvalid("caps", "Caps are seconds, outputs and seats.")
    return Caps(
        **{
            name: _number(f"caps.{name}", value, 1, MAX_SEATS if name == "seats" else MAX_CAP)
            for name, value in raw.items()
        }
    )


def _number(clause: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ScopeInvalid(clause, f"'{clause}' is a whole number from {least} to {most}.")
    return value


def _one(raw: Mapping[str, Any], key: str, of: tuple[str, ...]) -> str:
    value = raw.get(key, of[0])
    if not isinstance(value, str) or value not in of:
        raise ScopeInvalid(key, f"'{key}' is one of: {', '.join(of)}.")
    return value
