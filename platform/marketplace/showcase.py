"""What makes an offer public: its preview, its words, and a moderator who has heard it. Search, by text.

An offer stands in the shop, and can be ordered, only after a moderator has listened to its preview.
Lock order: listing, then the log.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from cloning.models import Output
from cloning.states import OutputState
from foundation.audit import canonical, log
from foundation.audit.commitments import commit
from foundation.audit.people import commit_for
from foundation.clock import now
from foundation.errors import NotAllowed, NotFound, Refused
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from marketplace import naming, selectors, sounds
from marketplace.errors import BadTerms, NameRefused, NameTaken, NoPreview, NotLive, NotWaiting
from marketplace.models import Listing, ProtectedName
from marketplace.states import ListingState, ReviewState
from safety.models import ProtectedVoice
from safety.states import ProtectionState

PREVIEW_SECONDS: Final = 30
"""Longest preview, its audible label included: enough to hear a voice, too little to use."""
MAX_TAGS: Final = 10
TAG_CHARS: Final = 24
DESCRIPTION_CHARS: Final = 1_000
CONDITIONS_CHARS: Final = 1_000
MAX_WORDS: Final = 8
"""Words of a search that are looked for."""
REASON_CHARS: Final = 500
NAME_CHARS: Final = 120
ACTOR: Final = Actor.system("marketplace.preview")


# -- words ------------------------------------------------------------------------------------------------------------
def check_words(*, title: str, description: str, conditions: str, tags: Sequence[str]) -> list[str]:
    """The tags as they are kept. Raises BadTerms, NameRefused (by rule)."""
    if len(description) > DESCRIPTION_CHARS or len(conditions) > CONDITIONS_CHARS:
        raise BadTerms(f"A description and conditions have at most {DESCRIPTION_CHARS} characters.")
    kept = sorted({tag.strip().lower() for tag in tags if tag.strip()})
    if len(kept) > MAX_TAGS or any(len(tag) > TAG_CHARS for tag in kept):
        raise BadTerms(f"At most {MAX_TAGS} tags of {TAG_CHARS} characters.")
    protected = protected_names()
    for words in (title, description, *kept):
        if (found := naming.refusal(words, protected)) is not None:
            raise NameRefused(found.says, rule=found.rule)
    return kept


def protected_names() -> list[str]:
    """Names nobody offers a voice under: those moderators protect, and the labels of protected voices."""
    names = ProtectedName.objects.values_list("name", flat=True)
    labels = ProtectedVoice.objects.filter(state=ProtectionState.ACTIVE).values_list("label", flat=True)
    return [*names, *labels]


@transaction.atomic
def protect_name(*, actor: Actor, name: str) -> ProtectedName:
    """Only moderators do; safe to repeat. Raises NotAllowed, BadTerms."""
    _moderator(actor)
    name = name.strip()
    if not 2 <= len(name) <= NAME_CHARS or not naming.skeleton(name):
        raise BadTerms(f"A name has 2 to {NAME_CHARS} characters.")
    try:
        with transaction.atomic():
            made = ProtectedName.objects.create(name=name, skeleton=naming.skeleton(name), added_by_id=actor.person_id)
    except IntegrityError:
        return ProtectedName.objects.get(skeleton=naming.skeleton(name))
    log.record(kind="name.protected", subject=f"name:{made.id}", actor=actor, data={"name": commit(name).digest})
    return made


# -- preview and review -----------------------------------------------------------------------------------------------
def check_preview(output_id: UUID, *, owner_id: UUID, voice_id: UUID) -> Output:
    """An own, live recording of this voice, short enough. Raises NoPreview, NotFound."""
    found = Output.objects.filter(id=output_id, requester_id=owner_id, voice_id=voice_id).first()
    if found is None:
        raise NotFound
    if found.state != OutputState.LIVE or found.licence_id is not None:
        raise NoPreview("A preview is a recording of your own that still stands.")
    if found.seconds > PREVIEW_SECONDS:
        raise NoPreview(f"A preview is at most {PREVIEW_SECONDS} s long, its label included.")
    return found


@transaction.atomic
def ask_review(*, actor: Actor, listing_id: UUID, preview_id: UUID) -> Listing:
    """Sets an own offer's preview and puts it before a moderator, again after it was turned down.

    Raises NotFound, NotLive, NoPreview.
    """
    actor.require_scope("market:write")
    found = _locked(listing_id)
    if found.owner_id != actor.person_id:
        raise NotFound
    if found.state != ListingState.LIVE:
        raise NotLive
    found.preview = check_preview(preview_id, owner_id=found.owner_id, voice_id=found.voice_id)
    found.review, found.reviewed_at, found.reviewed_by, found.review_reason = ReviewState.WAITING, None, None, ""
    found.save(update_fields=["preview", "review", "reviewed_at", "reviewed_by", "review_reason"])
    forget_sound(found, reason="preview_changed", actor=actor)
    return found


def waiting(*, actor: Actor) -> QuerySet[Listing]:
    """Offers that wait for a moderator's ear, oldest first; nobody's own. Raises NotAllowed."""
    _moderator(actor)
    found = Listing.objects.select_related("voice", "preview").filter(
        state=ListingState.LIVE, review=ReviewState.WAITING
    )
    return found.exclude(owner_id=actor.person_id).order_by("created_at", "id")


@transaction.atomic
def review(*, actor: Actor, listing_id: UUID, publish: bool, reason: str = "") -> Listing:
    """A moderator's word after listening: published, or turned down with a reason the owner reads.

    Raises NotAllowed (nobody reviews their own), NotFound, NotWaiting, NameRefused (a name protected meanwhile),
    NameTaken (another owner's offer in the shop looks the same), Refused (no reason).
    """
    _moderator(actor)
    found = _locked(listing_id)
    if found.owner_id == actor.person_id:
        raise NotAllowed("Nobody reviews their own offer.")
    if found.state != ListingState.LIVE or found.review != ReviewState.WAITING or found.preview is None:
        raise NotWaiting
    reason = reason.strip()
    if publish:
        check_words(
            title=found.title,
            description=found.description,
            conditions=found.conditions,
            tags=found.tags,
        )
        others = Listing.objects.filter(state=ListingState.LIVE, review=ReviewState.PUBLISHED)
        if others.exclude(owner_id=found.owner_id).filter(skeleton=found.skeleton).exists():
            raise NameTaken
        check_preview(found.preview.id, owner_id=found.owner_id, voice_id=found.voice_id)
    elif not 1 <= len(reason) <= REASON_CHARS:
        raise Refused(f"A reason has 1 to {REASON_CHARS} characters.", code="reason_missing")
    found.review = ReviewState.PUBLISHED if publish else ReviewState.TURNED_DOWN
    found.reviewed_at, found.reviewed_by_id, found.review_reason = now(), actor.person_id, "" if publish else reason
    found.save(update_fields=["review", "reviewed_at", "reviewed_by", "review_reason"])
    said = {"terms": terms_digest(found)} if publish else {"reason": commit_for(reason, person_id=found.owner_id)}
    log.record(
        kind="listing.published" if publish else "listing.turned_down",
        subject=f"listing:{found.id}",
        actor=actor,
        data={"voice": str(found.voice_id), **said},
        rehearsal=found.rehearsal,
    )
    if publish:
        listing = str(found.id)
        transaction.on_commit(lambda: sounds.hand_over("hear_preview", listing))
    return found


def preview_of(*, actor: Actor, listing_id: UUID) -> Output:
    """The preview's recording, for whoever may see the offer; moderators hear what waits. Raises NotFound."""
    moderates = actor.role == "moderator" and "moderate" in actor.scopes
    found = Listing.objects.select_related("preview__sealed").filter(id=listing_id, state=ListingState.LIVE).first()
    if found is None or found.preview is None or found.preview.state != OutputState.LIVE:
        raise NotFound
    if not moderates and found.owner_id != actor.person_id and not selectors.shop().filter(id=found.id).exists():
        raise NotFound
    return found.preview


def terms_digest(listing: Listing) -> str:
    """SHA-256 (hex) of what the owner offers: the log says which words and terms were published."""
    terms: dict[str, Any] = {
        "title": listing.title,
        "description": listing.description,
        "conditions": listing.conditions,
        "tags": listing.tags,
        "scope": listing.scope,
        "price_minor": listing.price_minor,
        "currency": listing.currency,
        "preview": str(listing.preview_id),
    }
    return hashlib.sha256(canonical.encode(terms)).hexdigest()


def forget_sound(listing: Listing, *, reason: str, actor: Actor) -> None:
    """Destroys what a listing is found by its sound with. For a locked listing; safe to repeat."""
    if listing.sound is None:
        return
    vault.destroy_key(key=listing.sound.key, reason=reason, actor=actor)
    listing.sound = None
    listing.save(update_fields=["sound"])


# -- search -----------------------------------------------------------------------------------------------------------
def search(*, text: str = "", language: str = "", tag: str = "", use: str = "", channel: str = "") -> QuerySet[Listing]:
    """The shop, narrowed: every word of ``text`` in title, description, tags or the voice's name."""
    found = selectors.shop()
    for word in text.split()[:MAX_WORDS]:
        said = Q(title__icontains=word) | Q(description__icontains=word) | Q(voice__name__icontains=word)
        found = found.filter(said | Q(tags__icontains=word))
    if language:
        found = found.filter(scope__languages__contains=[language])
    if tag:
        found = found.filter(tags__contains=[tag.strip().lower()])
    if use:
        found = found.filter(Q(scope__terms__uses__contains=[use]) | Q(scope__terms__uses__isnull=True))
        found = found.filter(**{f"voice__consent__uses__{use}": True})
    if channel:
        found = found.filter(Q(scope__terms__channels__contains=[channel]) | Q(scope__terms__channels__isnull=True))
    return found


def _moderator(actor: Actor) -> None:
    actor.require_scope("moderate")
    actor.require_role("moderator")


def _locked(listing_id: UUID) -> Listing:
    found = Listing.objects.select_for_update(of=("self",)).filter(id=listing_id).first()
    if found is None:
        raise NotFound
    return found
