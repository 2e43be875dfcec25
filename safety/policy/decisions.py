"""What the policy said, kept so that it can be said again: facts without words, and the words sealed for a time.

The words of a text are a person's. They lie in the vault, under a key of that person's week, and open for at most
`VOUCH_POLICY_TEXT_DAYS`; then, or when the person is erased, the key is destroyed. With 0 days no word is kept, and a
change of what reads texts cannot be tried on the past.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed, PastDeadline
from foundation.vault.models import VaultKey
from safety import protected
from safety.detectors.lexicon import Lexicon, Phrase, PhraseTooShort
from safety.detectors.normalise import Reading
from safety.policy import evaluate, library, read_within_bounds
from safety.policy.deciding import PolicyVerdict, decide
from safety.policy.facts import CONTEXT, Value
from safety.policy.models import PolicyDecision, PolicyTextKey, Stage

FACTS_KEPT: Final = timedelta(days=400)
"""How long a decision and its facts are kept: a year's figures and the time to dispute the last of them."""
_ACTOR: Final = Actor.system("safety.policy")


def judge(text: str, *, language: str, known: Mapping[str, Value]) -> PolicyVerdict:
    """The verdict of the pack in force. Raises PackInvalid, TextTooLong: without an answer nothing is spoken."""
    used = library.in_use()
    reading = read_within_bounds(text)
    return evaluate(
        text,
        language=language,
        known={**known, "text.protected_names": _names_in(reading)},
        pack=used.live,
        classifiers=library.classifiers(),
        reading=reading,
    )


def read_ahead() -> None:
    """Judges a sentence of nobody's, so that the packs in use and the protected names are compiled before somebody's
    first text waits for it: seconds. Raises PackInvalid."""
    judge("One, two, three.", language="en", known={})


def protected_names(text: str) -> int:
    """How many protected public figures a text names. Raises TextTooLong."""
    return _names_in(read_within_bounds(text))


def _names_in(reading: Reading) -> int:
    names = tuple(protected.public_names())
    return len(set().union(*_lexicon(names).places(reading))) if names else 0


@lru_cache(maxsize=4)
def _lexicon(names: tuple[str, ...]) -> Lexicon:
    """The names as lists of one phrase each; one of which nothing is left cannot be looked for."""
    lists = {}
    for name in names:
        with suppress(PhraseTooShort):
            Phrase.of(name)
            lists[name] = [name]
    return Lexicon(lists)


@transaction.atomic
def record(
    *,
    verdict: PolicyVerdict,
    stage: str,
    requester_id: UUID,
    voice_ref: str,
    text: str,
    text_digest: str,
    language: str,
    actor: Actor,
) -> PolicyDecision:
    """Keeps a verdict of the pack in force, and what the pack in the shadow says of the same text."""
    used = library.in_use()
    made = PolicyDecision(
        stage=stage,
        requester_id=requester_id,
        voice_ref=voice_ref,
        text_digest=text_digest,
        facts=verdict.facts,
        pack=library.row_of(library.by_hash(verdict.pack_sha256)),
        outcome=verdict.outcome,
        rule=verdict.rule,
        clause=verdict.clause,
        label=verdict.label,
    )
    if used.shadow is not None:
        known = {
            name: value for name, value in verdict.facts.items() if name in CONTEXT or name == "text.protected_names"
        }
        beside = evaluate(text, language=language, known=known, pack=used.shadow, classifiers=library.classifiers())
        made.shadow_pack = library.row_of(used.shadow)
        made.shadow_outcome, made.shadow_rule = beside.outcome, beside.rule
    if settings.VOUCH_POLICY_TEXT_DAYS and stage == Stage.REQUEST:
        made.text = vault.store(
            key=_key_of(requester_id, actor),
            kind="policy_text",
            owner_ref=f"decision:{made.id}",
            data=text.encode(),
            not_after=made.at + timedelta(days=settings.VOUCH_POLICY_TEXT_DAYS),
            actor=actor,
        )
    made.save(force_insert=True)
    return made


def words_of(decision: PolicyDecision) -> str | None:
    """The text a decision was about, while it may be read; None afterwards."""
    if decision.text is None:
        return None
    try:
        return vault.read(sealed_object=decision.text, actor=_ACTOR).decode()
    except (PastDeadline, KeyDestroyed):
        return None


def again(decision: PolicyDecision) -> PolicyVerdict:
    """The decision made again, by its own pack from its own facts. Raises PackInvalid."""
    return decide(decision.facts, library.by_hash(decision.pack_id))


def label_of(*, text_digest: str, voice_ref: str, requester_id: UUID) -> str:
    """The note that the last allowed request of exactly this text carries; empty for none."""
    found = PolicyDecision.objects.filter(
        stage=Stage.REQUEST, text_digest=text_digest, voice_ref=voice_ref, requester_id=requester_id
    )
    return found.order_by("-at").values_list("label", flat=True).first() or ""


# -- forgetting -------------------------------------------------------------------------------------------------------


def forget_old() -> int:
    """Destroys the keys of texts past their time, and decisions past theirs. Returns how many keys ended."""
    latest = now() - timedelta(days=settings.VOUCH_POLICY_TEXT_DAYS + 7)
    ended = 0
    for key_id in PolicyTextKey.objects.filter(week__lt=latest.date(), ended_at=None).values_list("id", flat=True):
        with transaction.atomic():
            ended += _end(PolicyTextKey.objects.select_for_update(of=("self",)).get(id=key_id), "purpose_ended")
    PolicyDecision.objects.filter(at__lt=now() - FACTS_KEPT).delete()
    return ended


def forget_person(*, person_id: UUID) -> int:
    """Makes every text of a person's unreadable, for good. In the caller's transaction. Returns how many keys ended."""
    standing = PolicyTextKey.objects.select_for_update(of=("self",)).filter(person_id=person_id, ended_at=None)
    return sum(_end(one, "erased") for one in standing)


def _end(one: PolicyTextKey, reason: str) -> int:
    if one.ended_at is not None:
        return 0
    one.ended_at = now()
    one.save(update_fields=["ended_at"])
    vault.destroy_key(key=one.key, reason=reason, actor=_ACTOR)
    return 1


def _key_of(person_id: UUID, actor: Actor) -> VaultKey:
    """The key of the person's present week, made when there is none."""
    week = _monday(now())
    standing = PolicyTextKey.objects.select_related("key").filter(person_id=person_id, week=week, ended_at=None)
    if (found := standing.first()) is not None:
        return found.key
    try:
        with transaction.atomic():
            made = PolicyTextKey(person_id=person_id, week=week)
            made.key = vault.create_key(kind="policy_text", owner_ref=f"policy_text:{week}", actor=actor)
            made.save(force_insert=True)
            return made.key
    except IntegrityError:  # another request of the same person was a moment faster
        return standing.get().key


def _monday(moment: datetime) -> date:
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())
