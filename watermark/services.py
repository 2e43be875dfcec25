"""Giving out payloads."""

from __future__ import annotations

import secrets

from django.db import IntegrityError, transaction

from watermark.codec import fingerprint
from watermark.models import PAYLOAD_LIMIT, IssuedMark, MarkRecord

#: Draws before giving up. With a million payloads out of 2**48 one collision is a matter of 1 in 280 million.
MAX_DRAWS = 8


class MarkConflict(Exception):
    """The output has a mark already, issued under another promise (rehearsal or not)."""


class NoFreePayload(Exception):
    """Every draw collided: the random source or the registry is broken."""


def issue_mark(*, output_ref: str, rehearsal: bool) -> IssuedMark:
    """Give ``output_ref`` a random payload of 48 bits and record it; asked again, return the one it has.

    Raises MarkConflict, NoFreePayload.
    """
    if not 0 < len(output_ref) <= 64:
        raise ValueError("an output reference has 1 to 64 characters")
    for _ in range(MAX_DRAWS):
        existing = IssuedMark.objects.filter(output_ref=output_ref).first()
        if existing is not None:
            if existing.rehearsal != rehearsal:
                raise MarkConflict(output_ref)
            return existing
        try:
            with transaction.atomic():
                return IssuedMark.objects.create(
                    payload=1 + secrets.randbelow(PAYLOAD_LIMIT - 1), output_ref=output_ref, rehearsal=rehearsal
                )
        except IntegrityError:
            continue  # the payload is taken, or another worker was faster with this output: look again
    raise NoFreePayload


def record_sound(
    *, mark: IssuedMark, print_of_sound: bytes, strength_db: float, score: float, voice_note_score: float
) -> MarkRecord:
    """Keep what is known of the sound that carries ``mark``, once; call it in the transaction that publishes it.

    Raises ValueError for what is no fingerprint, IntegrityError when the mark has its record already.
    """
    if not print_of_sound or len(print_of_sound) % 2 or len(print_of_sound) > fingerprint.MAX_BYTES:
        raise ValueError("that is no fingerprint")
    return MarkRecord.objects.create(
        mark=mark,
        fingerprint=print_of_sound,
        fingerprint_version=fingerprint.VERSION,
        strength_db=strength_db,
        score=score,
        voice_note_score=voice_note_score,
    )
