"""The statement of a consent: what was agreed to, by whom, on which evidence, in one document that never changes.

Its SHA-256 goes into the log, its compact form under the platform's signature, and both into the receipt.
"""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from consent import compact, examination
from consent.acts import Act
from consent.agreements import Agreement
from consent.errors import RehearsalOnly
from consent.models import Challenge, Consent, Recording, Review
from foundation import keys
from foundation.identity.models import Person

KIND: Final = "vouch-consent-2"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a consent rests on: the person who gives it, how the speaker was known, and what was found."""

    person: Person
    speaker: str
    challenge: Challenge | None
    review: Review | None
    recordings: list[Recording]
    evidence: list[dict[str, Any]]
    former: Consent | None = None
    consent_id: UUID = field(default_factory=uuid.uuid4)

    @property
    def basis(self) -> str:
        return compact.SELF if self.review is None else str(self.review.kind)

    @property
    def version(self) -> int:
        return self.former.version + 1 if self.former else 1

    @property
    def rehearsal(self) -> bool:
        """Whether anything in it is a rehearsal's. Raises RehearsalOnly outside of one."""
        rehearsed = any(item["rehearsal"] for item in self.evidence) or bool(self.former and self.former.rehearsal)
        if rehearsed and not settings.REHEARSAL:
            raise RehearsalOnly("The evidence was examined in a rehearsal.")
        return bool(settings.REHEARSAL)


def build(
    ground: Ground,
    *,
    terms: dict[str, Any],
    term_days: int,
    text: Agreement,
    release: Agreement | None,
    act: Act,
    moment: datetime,
) -> dict[str, Any]:
    """The statement, JSON-safe. Raises RehearsalOnly."""
    salt = secrets.token_hex(32)
    return {
        "kind": KIND,
        "id": str(ground.consent_id),
        "version": ground.version,
        "former": _former(ground.former),
        "person": {"id": str(ground.person.id), "name": ground.person.display_name},
        "speaker": ground.speaker,
        "basis": {"kind": ground.basis, "review": str(ground.review.id) if ground.review else None},
        "given_at": moment.isoformat(),
        "valid_until": (moment + timedelta(days=term_days)).isoformat(),
        **terms,
        "text": {"version": text.version, "sha256": text.sha256},
        "biometric_release": {"version": release.version, "sha256": release.sha256} if release else None,
        "recordings": [str(recording.id) for recording in ground.recordings],
        "evidence": ground.evidence,
        "act": act.statement(salt, moment),
        "rehearsal": ground.rehearsal,
        # The log shows a hash of this statement; without the salt a guess of its content could be tested against it.
        "salt": salt,
    }


def sign(statement: dict[str, Any], leaf_index: int) -> str:
    """The log key's signature (hex) over the statement's compact form."""
    return compact.sign(compact.of(statement, leaf_index), keys.private_key("log")).hex()


def examined(thing: Challenge | Recording) -> dict[str, Any]:
    """How we know, in numbers and hashes: the examination of a challenge or recording, without its audio."""
    found = thing.examination
    if thing.custody is None:
        raise ValueError("what has passed was received")
    return {
        "of": "challenge" if isinstance(thing, Challenge) else "recording",
        "id": str(thing.id),
        "examination": str(found.id),
        "leaf": found.leaf_index,
        "verdict": found.verdict,
        "evidence_sha256": examination.evidence_digest(found.evidence),
        "audio_commitment": thing.custody.commitment,
        "measures": examination.measures(found.evidence),
        "rehearsal": found.rehearsal,
    }


def _former(former: Consent | None) -> dict[str, Any] | None:
    if former is None:
        return None
    return {
        "id": str(former.id),
        "leaf": former.leaf_index,
        "statement_sha256": compact.statement_digest(former.statement),
    }
