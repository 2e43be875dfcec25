"""``Idempotency-Key``: the same person, key and body get the stored answer; nothing runs twice.

The row is inserted before the view runs (the unique constraint decides races) and completed after it. Only finished
answers below 500 are kept: a crash leaves a row without a status, which a later retry takes over after
``STALE_AFTER``, and after the longest time for a body where that is read by the view.
"""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from foundation.clock import now
from foundation.errors import Conflict, Refused
from foundation.identity.models import Person
from vouch.api.core.patience import LONGEST
from vouch.api.models import IdempotentAnswer

STALE_AFTER = timedelta(minutes=1)
BODY_TIME = timedelta(seconds=LONGEST)
"""Beside that, where the body is read by the view: a repetition must not run beside the first."""
KEPT = timedelta(hours=24)
MAX_KEY = 120
MADE = "made"
REPLAYED = {"Idempotency-Replayed": "true"}


class KeyReused(Refused):
    """This Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"


class StillRunning(Conflict):
    """The first request with this key is still being answered."""

    code = "idempotency_in_progress"


class BadKey(Refused):
    """An Idempotency-Key has 1 to 120 characters."""

    code = "idempotency_key_invalid"


def once(
    request: Request,
    person: Person,
    run: Callable[[], Response],
    *,
    secrets: Sequence[str] = (),
    with_body: bool = True,
) -> Response:
    """Runs ``run`` at most once for the request's key and returns its answer, now or as stored.

    Fields named in ``secrets`` are shown once and never kept: a repeated answer lacks them. Without ``with_body`` only
    the length of the body is compared: sound is streamed into encryption and not read twice.
    """
    key = _key(request)
    if key is None:
        return run()
    body = request._request.body if with_body else str(request.META.get("CONTENT_LENGTH", "")).encode()
    stale = STALE_AFTER if with_body else STALE_AFTER + BODY_TIME
    row, fresh = _claim(person, key, _fingerprint(request, body), stale)
    if not fresh:
        return Response(row.body, status=row.status, headers=REPLAYED)
    try:
        response = run()
    except BaseException:
        row.delete()
        raise
    if response.status_code >= 500:
        row.delete()
        return response
    row.status, row.body = response.status_code, _plain(response.data, secrets)
    row.save(update_fields=["status", "body"])
    return response


class Claim:
    """The place of a key whose answer is sound: instead of the answer, what was ``made`` under it stands there.

    ``what`` stands there, or nothing; ``again``: an earlier request put it there. Without a key nothing is kept.
    """

    def __init__(self, row: IdempotentAnswer | None, what: str = "") -> None:
        self._row, self.what, self.again = row, what, bool(what)

    def made(self, what: str) -> None:
        self.what = what
        if self._row is not None:
            self._row.status, self._row.body = 200, {MADE: what}
            self._row.save(update_fields=["status", "body"])

    def free(self) -> None:
        """Nothing came of it: the key may be used again."""
        if self._row is not None:
            self._row.delete()
            self._row = None


def claim(request: Request, person: Person, body: bytes) -> Claim:
    """The place of the request's key. ``made`` or ``free`` must follow where nothing stands there.

    Raises BadKey, KeyReused, StillRunning.
    """
    key = _key(request)
    if key is None:
        return Claim(None)
    row, fresh = _claim(person, key, _fingerprint(request, body), STALE_AFTER)
    return Claim(row, "" if fresh else str((row.body or {}).get(MADE, "")))


def _key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise BadKey
    return key


def _fingerprint(request: Request, body: bytes) -> str:
    """Keyed by our secret: a body may hold a password, or a text that can be guessed."""
    words = [(request.method or "").encode(), request.get_full_path().encode(), body]
    return salted_hmac("vouch.idempotency", b"\0".join(words), algorithm="sha256").hexdigest()


def _claim(person: Person, key: str, fingerprint: str, stale: timedelta) -> tuple[IdempotentAnswer, bool]:
    try:
        with transaction.atomic():
            return IdempotentAnswer.objects.create(person=person, key=key, fingerprint=fingerprint), True
    except IntegrityError:
        pass
    with transaction.atomic():
        row = IdempotentAnswer.objects.select_for_update().get(person=person, key=key)
        if row.fingerprint != fingerprint:
            raise KeyReused
        if row.status is not None:
            return row, False
        if now() - row.created_at < stale:
            raise StillRunning(retry_after=1)
        row.created_at = now()
        row.save(update_fields=["created_at"])
        return row, True


def forget() -> int:
    """Answers older than KEPT: a client that has not repeated by then does not."""
    return IdempotentAnswer.objects.filter(created_at__lt=now() - KEPT).delete()[0]


def _plain(data: object, secrets: Sequence[str]) -> object:
    plain = json.loads(json.dumps(data, cls=JSONEncoder))
    return {name: value for name, value in plain.items() if name not in secrets} if secrets else plain
