"""Search by "sounding like": an uploaded clip is compared with the previews in the shop, in a worker.

The clip lies in custody for an hour at most and is destroyed with the answer. The measurement of a preview is a sealed
object under a key of its own that ends with the offer; the clip's is never stored. Nobody is shown, handed or sold
either: an answer is a list of offers, in order, in two grades. A clip that resembles a protected voice gets no answer,
so that nobody shops for a stand-in.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import ConnectionError as RedisDown

from cloning.models import Output
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound, Refused, VouchError
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from marketplace import selectors
from marketplace.models import Listing, SoundSearch
from marketplace.states import ListingState, ReviewState, SearchState
from retention import custody
from retention.purposes import Purpose

logger = logging.getLogger("marketplace.sounds")

ACTOR: Final = Actor.system("marketplace.sounds")
QUEUE: Final = "cpu"
KEPT: Final = timedelta(hours=1)
MAX_BYTES: Final = 10 * 1024 * 1024
MAX_SECONDS: Final = 60.0
LEAST_SECONDS: Final = 1.6
"""One window of the encoder: below it there is nothing to compare."""
VERY_CLOSE: Final = 0.80
CLOSE: Final = 0.65
"""Cosines of the two grades. The first is where a voice counts as the same (`safety.protected.SAME_VOICE`)."""
MOST: Final = 20
"""Offers in one answer."""
ANSWER_KEPT: Final = timedelta(days=1)


class TooShort(Refused):
    """The clip is too short to be compared."""

    code = "clip_too_short"
    advice = "Send two to sixty seconds of one voice."


class ProtectedSound(Refused):
    """This voice cannot be searched for."""

    code = "protected_voice"


# -- asking -----------------------------------------------------------------------------------------------------------
def request_search(*, actor: Actor, stream: Iterable[bytes]) -> SoundSearch:
    """Takes a clip into custody for an hour at most and queues the search. Raises NotAllowed, TooLarge, EmptyBody."""
    from foundation.identity.models import Person

    actor.require_scope("market:read")
    person = Person.objects.filter(id=actor.person_id).first() if actor.person_id else None
    if person is None:
        raise NotFound
    item = custody.receive(
        stream=stream,
        purpose=Purpose.SEARCH,
        subject=person,
        actor=actor,
        max_bytes=MAX_BYTES,
        deadline=now() + KEPT,
    )
    with transaction.atomic():
        made = SoundSearch.objects.create(requester=person, clip=item)
        _send(made)
    return made


def search_of(*, actor: Actor, search_id: UUID) -> SoundSearch:
    """The actor's own search. Raises NotFound."""
    found = SoundSearch.objects.filter(id=search_id, requester_id=actor.person_id).first()
    if found is None:
        raise NotFound
    return found


def found_listings(search: SoundSearch) -> list[tuple[Listing, str]]:
    """What was found and is still in the shop, nearest first, with its grade."""
    order = {UUID(one["listing"]): (place, one["grade"]) for place, one in enumerate(search.found)}
    shown = selectors.shop().filter(id__in=list(order))
    return sorted(((one, order[one.id][1]) for one in shown), key=lambda pair: order[pair[0].id][0])


# -- in the worker ----------------------------------------------------------------------------------------------------
def run(search_id: UUID) -> None:
    """Compares a queued clip; the clip is destroyed with the answer. Safe to run twice."""
    job = SoundSearch.objects.select_related("clip").filter(id=search_id, state=SearchState.QUEUED).first()
    if job is None or job.clip is None:
        return
    try:
        found = _compared(custody.read(item=job.clip, actor=ACTOR))
    except VouchError as error:
        _finish(search_id, SearchState.FAILED, [], error)
        return
    _finish(search_id, SearchState.DONE, found, None)


def hear(listing_id: UUID) -> None:
    """Measures a published preview, so that the offer is found by its sound. Safe to run twice."""
    listing = Listing.objects.select_related("preview__sealed", "voice__consent").filter(id=listing_id).first()
    if listing is None or not _heard_in_shop(listing) or listing.sound_id is not None or listing.preview is None:
        return
    try:
        vector = _embedding(vault.read(sealed_object=listing.preview.sealed, actor=ACTOR), after=listing.preview)
    except VouchError as error:
        # The offer stays in the shop and is found by its words.
        logger.warning("preview.unheard listing=%s code=%s", listing_id, error.code)
        return
    with transaction.atomic():
        locked = Listing.objects.select_for_update(of=("self",)).get(id=listing_id)
        if locked.sound_id is not None or locked.preview_id != listing.preview_id or not _heard_in_shop(locked):
            return
        owner = f"listing:{listing_id}"
        key = vault.create_key(kind="template", owner_ref=owner, actor=ACTOR)
        locked.sound = vault.store(
            key=key,
            kind="template",
            owner_ref=owner,
            data=array("f", vector).tobytes(),
            not_after=listing.voice.consent.valid_until,
            actor=ACTOR,
        )
        locked.save(update_fields=["sound"])


def tidy() -> int:
    """Ends the measurements of offers that have left the shop for good, clips nobody answered, and old answers; sends
    lost work again. Safe to run twice."""
    from marketplace.showcase import forget_sound

    ended = 0
    kept = Listing.objects.filter(sound__isnull=False)
    gone = kept.exclude(state=ListingState.LIVE) | kept.exclude(voice__state="ready")
    gone |= kept.exclude(voice__consent__state="active") | kept.exclude(review=ReviewState.PUBLISHED)
    for listing_id in list(gone.values_list("id", flat=True)):
        with transaction.atomic():
            forget_sound(
                Listing.objects.select_for_update(of=("self",)).get(id=listing_id), reason="not_on_offer", actor=ACTOR
            )
            ended += 1
    queued = SoundSearch.objects.filter(state=SearchState.QUEUED)
    for search_id in list(queued.filter(created_at__lt=now() - KEPT).values_list("id", flat=True)):
        _finish(search_id, SearchState.FAILED, [], VouchError("The search did not start in time.", code="not_answered"))
        ended += 1
    for job in queued.filter(created_at__lt=now() - timedelta(minutes=1)):
        _send(job)
    fresh = selectors.shop().filter(sound=None, reviewed_at__gt=now() - KEPT)
    for listing_id in fresh.values_list("id", flat=True):
        hand_over("hear_preview", str(listing_id))
    SoundSearch.objects.exclude(found=[]).filter(finished_at__lt=now() - ANSWER_KEPT).update(found=[])
    return ended


def _heard_in_shop(listing: Listing) -> bool:
    return listing.state == ListingState.LIVE and listing.review == ReviewState.PUBLISHED


def _compared(data: bytes) -> list[dict[str, str]]:
    from safety import protected

    vector = _embedding(data)
    if any(match.kind == "protected" for match in protected.search(embedding=vector)):
        raise ProtectedSound
    ranked = []
    offers = selectors.shop().filter(sound__isnull=False).select_related("sound__key")
    for listing in offers.iterator():
        if listing.sound is None:
            continue
        other = array("f")
        other.frombytes(vault.read(sealed_object=listing.sound, actor=ACTOR))
        nearness = sum(a * b for a, b in zip(vector, other, strict=True))
        if nearness >= CLOSE:
            ranked.append((nearness, str(listing.id)))
    ranked.sort(reverse=True)
    grades = [(ref, "very_close" if nearness >= VERY_CLOSE else "close") for nearness, ref in ranked[:MOST]]
    return [{"listing": ref, "grade": grade} for ref, grade in grades]


def _embedding(data: bytes, *, after: Output | None = None) -> list[float]:
    """The unit embedding of the speech in ``data``; of an output without its audible label at the start."""
    import numpy as np

    from consent.biometrics.audio import AudioError
    from consent.biometrics.speaker import embed
    from consent.decoding import decode

    wave, rate = decode(data, max_seconds=MAX_SECONDS)
    if after is not None:
        wave = wave[int(after.label_seconds * rate) :]
    if len(wave) < LEAST_SECONDS * rate:
        raise TooShort
    try:
        vector = np.asarray(embed(wave, rate), dtype=np.float64)
    except AudioError as error:
        raise TooShort(str(error)) from error
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0.0:
        raise TooShort
    return [float(value) for value in vector / length]


@transaction.atomic
def _finish(search_id: UUID, to: SearchState, found: list[dict[str, str]], error: VouchError | None) -> None:
    job = SoundSearch.objects.select_for_update(of=("self",)).select_related("clip").get(id=search_id)
    if job.state != SearchState.QUEUED:
        return
    job.state, job.found, job.finished_at = to, found, now()
    job.error_code, job.error_detail = (error.code[:60], error.detail[:300]) if error else ("", "")
    job.save(update_fields=["state", "found", "finished_at", "error_code", "error_detail"])
    data: dict[str, Any] = {"state": job.state, "offers": len(found), "code": job.error_code}
    log.record(kind="market.searched", subject=f"sound_search:{job.id}", actor=ACTOR, data=data)
    if job.clip is not None:
        custody.destroy(item=job.clip, reason="purpose_ended", actor=ACTOR)


def _send(job: SoundSearch) -> None:
    search = str(job.id)
    transaction.on_commit(lambda: hand_over("search_sounds", search))


def hand_over(task: str, argument: str) -> None:
    """Sends one of this room's tasks to the workers that have the audio libraries. A broker that is away is no error:
    what to do stands in the database, and ``tidy`` sends it again."""
    from marketplace import tasks

    try:
        getattr(tasks, task).apply_async(args=[argument], queue=QUEUE)
    except (BrokerDown, RedisDown) as error:
        logger.warning("broker.down task=%s id=%s error=%s", task, argument, type(error).__name__)
