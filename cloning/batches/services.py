"""The requester's acts: asking for a batch, trying its lines again, ending it.

What moves a batch on is in `cloning.batches.advancing`, with the order of locks.
"""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import transaction

from cloning import errors as cloning_errors
from cloning import gate, jobs, texts
from cloning import services as speech
from cloning.batches import advancing, errors, selectors
from cloning.batches.models import Batch, BatchKind, Line
from cloning.batches.states import BATCH, WITH_REQUEST, BatchState, LineState
from cloning.batches.tables import MAX_PAUSE_MS, Table
from cloning.manner import Manner
from cloning.models import MAX_SEED, MAX_TEXT, Job
from cloning.states import OPEN_JOB_STATES, move
from consent.models import Consent
from foundation.errors import NotFound, Refused, VouchError
from foundation.identity.actors import Actor

MAX_RUNNING: Final = 5
"""Batches of one person at work at once."""
PAUSE_MS: Final = 600
CHAPTER_PAUSE_MS: Final = 2_000


def create(
    *,
    actor: Actor,
    voice_id: UUID,
    table: Table,
    kind: str,
    language: str,
    seed: int | None = None,
    container: str = "wav",
    rate: int | None = None,
    label_language: str = "",
    manner: Manner | None = None,
    mask: UUID | None = None,
    channel: str = "",
    territory: str = "",
    uses: Collection[str] = (),
    licence_id: UUID | None = None,
    pause_ms: int = PAUSE_MS,
    chapter_pause_ms: int = CHAPTER_PAUSE_MS,
) -> Batch:
    """A batch of the table's lines, handed to the workers. Lines that cannot be spoken are refused in it, by name.

    Raises what is wrong with the batch as a whole: EmptyTable (no line can be spoken), NarrationTooLong, BatchQuota,
    and what `request_speech` raises for every text: the voice, the consent, the licence, the format.
    """
    if actor.person_id is None:
        raise NotFound
    texts.check_language(language)
    texts.check_container(container)
    texts.check_rate(rate, person_id=actor.person_id)
    texts.check_uses(channel, territory, uses)
    texts.check_masked(manner, mask)
    if kind not in BatchKind.values:
        raise Refused(f"A batch is one of {', '.join(BatchKind.values)}.", code="unknown_kind")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise Refused(f"A seed is 0 to {MAX_SEED}.", code="seed_invalid")
    if not (0 <= pause_ms <= MAX_PAUSE_MS and 0 <= chapter_pause_ms <= MAX_PAUSE_MS):
        raise Refused(f"A pause is 0 to {MAX_PAUSE_MS} ms.", code="pause_invalid")
    good = table.good
    if not good:
        raise errors.EmptyTable("None of the lines can be spoken.")
    length = sum(len(row.text) for row in good) + len(good) - 1
    if kind == BatchKind.NARRATION and length > MAX_TEXT:
        raise errors.NarrationTooLong(f"A narration has at most {MAX_TEXT} characters; this one has {length}.")
    batch = Batch(
        voice_id=voice_id, requester_id=actor.person_id, kind=kind, source=table.source, language=language, seed=seed,
        container=container, rate=rate, label_language=label_language, manner=(manner or Manner()).kept(),
        channel=channel, territory=territory, uses=sorted(set(uses)), licence_id=licence_id, pause_ms=pause_ms,
        chapter_pause_ms=chapter_pause_ms, mask_id=mask,
    )  # fmt: skip
    with transaction.atomic():
        # The same answer at once that every line would get one by one.
        judgement = advancing.judge(batch, good[0].text)
        refusal: cloning_errors.GateRefused | None = None
        if isinstance(judgement.refusal, advancing.ENDS_ALL):
            refusal = judgement.refusal
        if licence_id is not None and judgement.licence is None and judgement.voice is not None:
            # Never wider than asked: who names a licence speaks under that one or not at all. Owners need none.
            licence_id = None
            if judgement.voice.owner_id != actor.person_id:
                refusal = judgement.refusal or cloning_errors.NoLicence()
        if refusal is not None:
            gate.log_refusal(actor, judgement, purpose="speak")
        else:
            _check_quota(actor.person_id)
            batch.licence_id = licence_id
            batch.save(force_insert=True)
            _write_lines(batch, table)
            refused = len(table.rows) - len(good)
            advancing.record(actor, batch, "batch.requested", lines=len(table.rows), refused=refused)
            advancing.hand_over(batch.id)
    if refusal is not None:
        raise refusal
    return batch


def _check_quota(person_id: UUID) -> None:
    if Batch.objects.filter(requester_id=person_id, state=BatchState.RUNNING).count() >= MAX_RUNNING:
        raise errors.BatchQuota(f"At most {MAX_RUNNING} batches of one person are worked on at once.", retry_after=60)


def _write_lines(batch: Batch, table: Table) -> None:
    lines = []
    for row in table.rows:
        stopped = row.stopped
        lines.append(
            Line(
                batch=batch,
                number=row.number,
                text="" if stopped else row.text,
                text_digest=texts.digest(row.text),
                characters=len(row.text),
                file=row.file,
                chapter=row.chapter,
                seed=row.seed,
                pause_ms=row.pause_ms,
                starts_ms=row.starts_ms,
                ends_ms=row.ends_ms,
                state=LineState.REFUSED if stopped else LineState.WAITING,
                error_code=stopped.code if stopped else "",
                error_detail=stopped.detail[:500] if stopped else "",
            )
        )
    Line.objects.bulk_create(lines)


def retry(*, actor: Actor, batch_id: UUID, number: int | None = None) -> Batch:
    """Tries the failed line again, or every failed one; the gate is asked anew. A narration is tried whole.

    Raises NotFound, LineUnknown, LineNotFailed, BatchOver (cancelled), BatchQuota, and for a single line what
    `retry_job` raises; among several, the others go on and the line keeps the refusal's code.
    """
    batch = selectors.batch(actor=actor, batch_id=batch_id)
    if batch.state == BatchState.CANCELLED:
        raise errors.BatchOver("A cancelled batch is not tried again.")
    lines = Line.objects.filter(batch=batch)
    if number is not None:
        lines = lines.filter(number=number)
        if not lines.exists():
            raise errors.LineUnknown
    found = list(lines.filter(state=LineState.FAILED).order_by("number").select_related("request"))
    if not found:
        raise errors.LineNotFailed
    if batch.state == BatchState.DONE:
        _check_quota(batch.requester_id)
    for request_id, job_id in {(line.request_id, line.request.job_id) for line in found if line.request}:
        try:
            speech.retry_job(actor=actor, job_id=job_id)
        except VouchError as refusal:
            if number is not None:
                raise
            mine = Line.objects.filter(batch=batch, request_id=request_id, state=LineState.FAILED)
            mine.update(error_code=refusal.code[:60], error_detail=refusal.detail[:500])
    with transaction.atomic():
        locked = advancing.lock(batch_id)
        if locked is None:
            raise NotFound
        if advancing.settle(locked) and locked.state == BatchState.DONE:
            move(locked, BatchState.RUNNING, BATCH)
            locked.finished_at = None
            locked.save(update_fields=["state", "finished_at"])
        advancing.hand_over(batch_id)
    return locked


def cancel(*, actor: Actor, batch_id: UUID) -> Batch:
    """Ends the batch: nothing more of it is spoken; what is spoken stays. Safe to call twice. Raises NotFound,
    BatchOver (done)."""
    selectors.batch(actor=actor, batch_id=batch_id)
    with transaction.atomic():
        batch = advancing.lock(batch_id)
        if batch is None:
            raise NotFound
        if batch.state == BatchState.CANCELLED:
            return batch
        if batch.state == BatchState.DONE:
            raise errors.BatchOver("This batch is done.")
        _cancel(actor, batch)
    return batch


def _cancel(actor: Actor, batch: Batch) -> None:
    ended = errors.BatchCancelled()
    Consent.objects.select_for_update(of=("self",)).get(id=batch.voice.consent_id)
    waiting = [LineState.WAITING, LineState.ACCEPTED]
    for line in Line.objects.filter(batch=batch, state__in=waiting).order_by("number"):
        advancing.end_line(line, LineState.CANCELLED, ended)
    asked = Line.objects.filter(batch=batch, state__in=WITH_REQUEST).values_list("request__job_id", flat=True)
    still = Job.objects.filter(id__in=asked, state__in=OPEN_JOB_STATES).order_by("id")
    for job_id in list(still.values_list("id", flat=True)):
        jobs.cancel(job_id=job_id, error=ended, actor=actor)
    advancing.settle(batch)
    advancing.finish(batch, BatchState.CANCELLED)
    cancelled = Line.objects.filter(batch=batch, state=LineState.CANCELLED).count()
    advancing.record(actor, batch, "batch.cancelled", lines=cancelled)
