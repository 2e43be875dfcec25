"""Asking for a batch, moving it on, trying its lines again, ending it.

Every line passes the gate as a sentence sent by itself does (`cloning.services.request_speech`); of a narration the
lines are judged one by one first, and then the whole text once more, so that what is split over lines is still read as
one. Lock order: batch, then all that `cloning.gate` says; whoever holds a consent never asks for a batch.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from cloning import errors as cloning_errors
from cloning import gate, jobs, texts
from cloning import services as speech
from cloning.batches import errors
from cloning.batches.models import Batch, BatchKind, Line
from cloning.batches.states import BATCH, LINE, OPEN_LINES, WITH_REQUEST, BatchState, LineState
from cloning.batches.tables import MAX_PAUSE_MS, Table
from cloning.manner import Manner
from cloning.models import MAX_SEED, MAX_TEXT, Job
from cloning.states import OPEN_JOB_STATES, JobState, move
from consent.models import Consent
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound, Refused, VouchError
from foundation.identity.actors import Actor

WINDOW: Final = 4
"""Lines of one batch that are with the workers at once: other people's sentences must not wait behind a thousand."""
MAX_RUNNING: Final = 5
"""Batches of one person at work at once."""
PAUSE_MS: Final = 600
CHAPTER_PAUSE_MS: Final = 2_000
LOOK_AGAIN_AFTER: Final = timedelta(seconds=30)
"""A batch nobody moved on for so long is looked at again (`recovery`)."""
ENDS_ALL: Final = (
    cloning_errors.VoiceUnknown,
    cloning_errors.VoiceDestroyed,
    cloning_errors.VoiceNotReady,
    cloning_errors.NoConsent,
    cloning_errors.ConsentWithdrawn,
    cloning_errors.ConsentExpired,
    cloning_errors.ConsentScope,
    cloning_errors.RehearsalOnly,
    cloning_errors.NoLicence,
    cloning_errors.MaskUnknown,
    cloning_errors.MaskNotReady,
    cloning_errors.MaskEnded,
)
"""Refusals that no other line can escape: they are about the voice, not about what is said."""
_JOB_TO_LINE: Final = {
    JobState.QUEUED: LineState.ASKED,
    JobState.RUNNING: LineState.ASKED,
    JobState.HELD: LineState.HELD,
    JobState.SUCCEEDED: LineState.DONE,
    JobState.FAILED: LineState.FAILED,
    JobState.REFUSED: LineState.REFUSED,
    JobState.CANCELLED: LineState.CANCELLED,
}


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
        judgement = _judge(batch, good[0].text)
        refusal: cloning_errors.GateRefused | None = None
        if isinstance(judgement.refusal, ENDS_ALL):
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
            _log(actor, batch, "batch.requested", lines=len(table.rows), refused=len(table.rows) - len(good))
            hand_over(batch.id)
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


def hand_over(batch_id: UUID) -> None:
    """Has a worker move the batch on, after commit."""
    transaction.on_commit(lambda: _send(batch_id))


def _send(batch_id: UUID) -> None:
    from cloning.batches import tasks

    jobs.deliver(tasks.advance, str(batch_id), "cpu")


# -- moving on --------------------------------------------------------------------------------------------------------


def advance(batch_id: UUID) -> None:
    """Takes over what became of the lines' requests and asks for further ones.

    Safe to run twice and at once; each line is asked for in a transaction of its own.
    """
    while _step(batch_id):
        pass


def went_on(job_id: UUID) -> None:
    """A job came to an end, or nearly: the batch that its request belongs to, if any, goes on."""
    batch_id = Line.objects.filter(request__job_id=job_id).values_list("batch_id", flat=True).first()
    if batch_id is not None:
        hand_over(batch_id)


@transaction.atomic
def _step(batch_id: UUID) -> bool:
    batch = _lock(batch_id)
    if batch is None:
        return False
    _settle(batch)
    if batch.state != BatchState.RUNNING:
        return False
    Batch.objects.filter(id=batch.id).update(looked_at=Now())
    lines = Line.objects.filter(batch=batch)
    waiting = lines.filter(state=LineState.WAITING).order_by("number").first()
    if waiting is not None:
        if batch.kind == BatchKind.NARRATION:
            _accept(batch, waiting)
            return True
        # Lines that wait for a person take no place from the others.
        if lines.filter(state=LineState.ASKED).count() < WINDOW:
            _ask(batch, [waiting], waiting.text)
            return True
        return False
    accepted = list(lines.filter(state=LineState.ACCEPTED).order_by("number"))
    if accepted:
        _ask(batch, accepted, "\n".join(line.text for line in accepted))
        return True
    if not lines.filter(state__in=OPEN_LINES).exists():
        _finish(batch, BatchState.DONE)
        return False
    return False


def _settle(batch: Batch) -> bool:
    """Every line as its request's job stands now. Whether any changed."""
    changed = False
    moving = [*OPEN_LINES, LineState.FAILED]
    lines = Line.objects.filter(batch=batch, state__in=moving, request__isnull=False)
    for line in lines.select_related("request__job", "request__output").order_by("number"):
        if line.request is None:
            continue
        job = line.request.job
        to = _JOB_TO_LINE[JobState(job.state)]
        if to == line.state:
            continue
        move(line, to, LINE)
        line.error_code, line.error_detail = job.error_code, job.error_detail
        if to == LineState.DONE and batch.kind == BatchKind.FILES:
            output = line.request.output
            line.milliseconds = round((output.seconds - output.label_seconds) * 1000)
        line.save()
        changed = True
    return changed


def _ask(batch: Batch, lines: list[Line], text: str) -> None:
    """A request for the lines' text; a refusal ends them, by name."""
    try:
        request = speech.request_speech(
            actor=_actor(batch), voice_id=batch.voice_id, text=text, language=batch.language,
            seed=batch.seed if len(lines) > 1 or lines[0].seed is None else lines[0].seed,
            container=batch.container, rate=batch.rate, label_language=batch.label_language or None,
            channel=batch.channel, territory=batch.territory, uses=batch.uses, licence_id=batch.licence_id,
            manner=Manner.of(batch.manner), mask=batch.mask_id,
        )  # fmt: skip
    except VouchError as refusal:
        _refuse(batch, lines, refusal)
        return
    for line in lines:
        line.request, line.text = request, ""
        move(line, _JOB_TO_LINE[JobState(request.job.state)], LINE)
        line.save()


def _accept(batch: Batch, line: Line) -> None:
    """A narration's line is judged by itself. What needs a person's word is refused here: who speaks it by itself first
    gets that word, and it stands for the same line in a narration."""
    actor = _actor(batch)
    judgement = _judge(batch, line.text)
    if judgement.voice is not None:
        speech.keep_decision(actor, judgement, line.text, line.text_digest, batch.language)
    if judgement.refusal is None:
        move(line, LineState.ACCEPTED, LINE)
        line.save()
        return
    gate.log_refusal(actor, judgement, purpose="speak")
    _refuse(batch, [line], judgement.refusal)


def _refuse(batch: Batch, lines: list[Line], refusal: VouchError) -> None:
    if isinstance(refusal, ENDS_ALL):
        untold = Line.objects.filter(batch=batch, state__in=[LineState.WAITING, LineState.ACCEPTED])
        lines = list(untold.order_by("number"))
    for line in lines:
        _end_line(line, LineState.REFUSED, refusal)


def _end_line(line: Line, to: LineState, error: VouchError) -> None:
    move(line, to, LINE)
    line.text, line.error_code, line.error_detail = "", error.code[:60], error.detail[:500]
    line.save()


def _judge(batch: Batch, text: str) -> gate.Judgement:
    return gate.judge_speech(
        voice_id=batch.voice_id,
        requester_id=batch.requester_id,
        text=text,
        text_digest=texts.digest(text),
        language=batch.language,
        channel=batch.channel,
        territory=batch.territory,
        uses=frozenset(batch.uses),
        licence_id=batch.licence_id,
        mask_id=batch.mask_id,
    )


def _actor(batch: Batch) -> Actor:
    return Actor.of(batch.requester)


def _lock(batch_id: UUID, *, requester_id: UUID | None = None) -> Batch | None:
    rows = Batch.objects.select_for_update(of=("self",)).select_related("requester", "voice")
    return rows.filter(Q(requester_id=requester_id) if requester_id else Q(), id=batch_id).first()


def _finish(batch: Batch, to: BatchState) -> None:
    move(batch, to, BATCH)
    batch.finished_at = now()
    batch.save(update_fields=["state", "finished_at"])


def _log(actor: Actor, batch: Batch, kind: str, **more: int) -> None:
    log.record(
        kind=kind,
        subject=f"batch:{batch.id}",
        actor=actor,
        data={"voice": str(batch.voice_id), "form": batch.kind, **more},
        rehearsal=batch.voice.rehearsal,
    )


# -- the requester's acts ---------------------------------------------------------------------------------------------


def retry(*, actor: Actor, batch_id: UUID, number: int | None = None) -> Batch:
    """Tries the failed line again, or every failed one; the gate is asked anew. A narration is tried whole.

    Raises NotFound, LineUnknown, LineNotFailed, BatchOver (cancelled), BatchQuota, and for a single line what
    `retry_job` raises; among several, the others go on and the line keeps the refusal's code.
    """
    batch = own(actor=actor, batch_id=batch_id)
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
        locked = _lock(batch_id)
        if locked is None:
            raise NotFound
        if _settle(locked) and locked.state == BatchState.DONE:
            move(locked, BatchState.RUNNING, BATCH)
            locked.finished_at = None
            locked.save(update_fields=["state", "finished_at"])
        hand_over(batch_id)
    return locked


def cancel(*, actor: Actor, batch_id: UUID) -> Batch:
    """Ends the batch: nothing more of it is spoken; what is spoken stays. Safe to call twice. Raises NotFound,
    BatchOver (done)."""
    own(actor=actor, batch_id=batch_id)
    with transaction.atomic():
        batch = _lock(batch_id)
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
        _end_line(line, LineState.CANCELLED, ended)
    asked = Line.objects.filter(batch=batch, state__in=WITH_REQUEST).values_list("request__job_id", flat=True)
    still = Job.objects.filter(id__in=asked, state__in=OPEN_JOB_STATES).order_by("id")
    for job_id in list(still.values_list("id", flat=True)):
        jobs.cancel(job_id=job_id, error=ended, actor=actor)
    _settle(batch)
    _finish(batch, BatchState.CANCELLED)
    _log(actor, batch, "batch.cancelled", lines=Line.objects.filter(batch=batch, state=LineState.CANCELLED).count())


def own(*, actor: Actor, batch_id: UUID) -> Batch:
    """A batch of the actor's own. Raises NotFound."""
    found = Batch.objects.filter(id=batch_id, requester_id=actor.person_id).select_related("voice").first()
    if found is None:
        raise NotFound
    return found


def look_again() -> int:
    """Hands over batches that nobody moved on for a while: a worker died, or a person decided. Returns how many."""
    late = Batch.objects.filter(state=BatchState.RUNNING, looked_at__lt=Now() - LOOK_AGAIN_AFTER)
    found = list(late.order_by("looked_at").values_list("id", flat=True)[:100])
    Batch.objects.filter(id__in=found).update(looked_at=Now())
    for batch_id in found:
        hand_over(batch_id)
    return len(found)
