"""A batch moves on: its lines are asked for, what became of them is taken over, until none is open.

Every line passes the gate as a sentence sent by itself does (`cloning.services.request_speech`); of a narration the
lines are judged one by one first, and then the whole text once more, so that what is split over lines is still read as
one. Lock order: batch, then all that `cloning.gate` says; whoever holds a consent never asks for a batch.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from cloning import errors as cloning_errors
from cloning import gate, jobs, texts
from cloning import services as speech
from cloning.batches.models import Batch, BatchKind, Line
from cloning.batches.states import BATCH, LINE, OPEN_LINES, BatchState, LineState
from cloning.manner import Manner
from cloning.states import JobState, move
from foundation.audit import log
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor

WINDOW: Final = 4
"""Lines of one batch that are with the workers at once: other people's sentences must not wait behind a thousand."""
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
    batch = lock(batch_id)
    if batch is None:
        return False
    settle(batch)
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
        finish(batch, BatchState.DONE)
        return False
    return False


def settle(batch: Batch) -> bool:
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
    judgement = judge(batch, line.text)
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
        end_line(line, LineState.REFUSED, refusal)


def end_line(line: Line, to: LineState, error: VouchError) -> None:
    """A line that will not be spoken keeps why, and not its text."""
    move(line, to, LINE)
    line.text, line.error_code, line.error_detail = "", error.code[:60], error.detail[:500]
    line.save()


def judge(batch: Batch, text: str) -> gate.Judgement:
    """What the gate says of a text asked for as the batch asks."""
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


def lock(batch_id: UUID) -> Batch | None:
    """The batch's row, locked; None when there is none."""
    rows = Batch.objects.select_for_update(of=("self",)).select_related("requester", "voice")
    return rows.filter(id=batch_id).first()


def finish(batch: Batch, to: BatchState) -> None:
    move(batch, to, BATCH)
    batch.finished_at = now()
    batch.save(update_fields=["state", "finished_at"])


def record(actor: Actor, batch: Batch, kind: str, **more: int) -> None:
    """A leaf about the batch; ``more``: counts."""
    log.record(
        kind=kind,
        subject=f"batch:{batch.id}",
        actor=actor,
        data={"voice": str(batch.voice_id), "form": batch.kind, **more},
        rehearsal=batch.voice.rehearsal,
    )


def look_again() -> int:
    """Hands over batches that nobody moved on for a while: a worker died, or a person decided. Returns how many."""
    late = Batch.objects.filter(state=BatchState.RUNNING, looked_at__lt=Now() - LOOK_AGAIN_AFTER)
    found = list(late.order_by("looked_at").values_list("id", flat=True)[:100])
    Batch.objects.filter(id__in=found).update(looked_at=Now())
    for batch_id in found:
        hand_over(batch_id)
    return len(found)


def hand_over(batch_id: UUID) -> None:
    """Has a worker move the batch on, after commit."""
    transaction.on_commit(lambda: _send(batch_id))


def _send(batch_id: UUID) -> None:
    from cloning.batches import tasks

    jobs.deliver(tasks.advance, str(batch_id), "cpu")
