"""Does one licence cover one text? Clause by clause, and the refusal cites the clause and its number."""

from dataclasses import dataclass

from cloning import errors, texts
from cloning.models import Voice
from consent import licences, scopes
from consent.models import Consent, Licence
from foundation.clock import now


@dataclass(frozen=True, slots=True)
class Asked:
    """What a requester wants spoken, and what this very request has set aside already."""

    text: str
    reserved: int
    reserved_ms: int
    topics: frozenset[str]
    uses: frozenset[str]
    language: str
    channel: str
    territory: str


def covered(licence: Licence, consent: Consent, voice: Voice, asked: Asked) -> errors.GateRefused | None:
    """None when it does. Fail closed: a licence that fell out of step with what it grants is no licence."""
    if licence.state != "active" or licence.valid_until <= now():
        return errors.LicenceScope("term: the licence has ended", clause="term")
    if licence.rehearsal != voice.rehearsal:
        return errors.LicenceScope("A rehearsal licence is for rehearsal voices only, and the other way round.")
    try:
        scope = scopes.parse(licence.scope)
    except scopes.ScopeInvalid as error:
        return errors.LicenceScope(f"{error.clause}: the licence's scope is not understood", clause=error.clause)
    use = scopes.Use(asked.language, asked.channel, asked.territory, asked.uses, asked.topics)
    denied = scopes.denials(scope, licences.ground_of(consent), use)
    if denied:
        return errors.LicenceScope(denied[0].says, clause=denied[0].clause)
    return _capped(licence, asked)


def _capped(licence: Licence, asked: Asked) -> errors.GateRefused | None:
    wanted = len(asked.text) - asked.reserved
    taken = licence.characters_used + licence.characters_reserved
    if taken + wanted > licence.characters_cap:
        left = licence.characters_cap - taken
        said = _cap(taken, licence.characters_cap, "characters") + _more(taken, licence.characters_cap, wanted)
        return errors.LicenceCap(said, clause="caps.characters", characters_left=left)
    if licence.outputs_cap is not None:
        taken = licence.outputs_used + licence.outputs_reserved
        if taken + (0 if asked.reserved_ms else 1) > licence.outputs_cap:
            return errors.LicenceCap(_cap(taken, licence.outputs_cap, "outputs"), clause="caps.outputs")
    if licence.milliseconds_cap is not None:
        taken = licence.milliseconds_used + licence.milliseconds_reserved
        wanted = texts.longest_ms(asked.text) - asked.reserved_ms
        if taken + wanted > licence.milliseconds_cap:
            seconds = [-(-value // 1000) for value in (taken, wanted)]
            cap = licence.milliseconds_cap // 1000
            said = _cap(seconds[0], cap, "seconds") + _more(seconds[0], cap, seconds[1])
            return errors.LicenceCap(said, clause="caps.seconds")
    return None


def _cap(taken: int, cap: int, what: str) -> str:
    return f"cap: {_grouped(taken)} of {_grouped(cap)} {what} used"


def _more(taken: int, cap: int, wanted: int) -> str:
    """What would be too much, where the cap is not reached exactly."""
    return "" if taken == cap else f"; this text needs {_grouped(wanted)}"


def _grouped(number: int) -> str:
    """Digits in groups of three, by spaces (ISO 80000-1)."""
    return f"{number:,}".replace(",", " ")
