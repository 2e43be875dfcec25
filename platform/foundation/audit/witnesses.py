"""Asking independent witnesses to cosign the newest checkpoint (c2sp.org/tlog-witness, the log's side)."""

from typing import Any, Final

from django.db.models import Max

from foundation.audit import checkpoints, cosignatures, notes, tree, witness
from foundation.audit.errors import WitnessRefused
from foundation.audit.models import Checkpoint, Cosignature

TIMEOUT: Final = 10.0
"""Seconds a witness has to answer; the next beat asks again."""

MAX_ANSWER: Final = 4 * 1024
"""Bytes of an answer that are read."""


def ask(configured: witness.Configured) -> Cosignature:
    """Has one witness cosign the newest checkpoint; an existing cosignature is returned as it is.

    Outside a transaction: the network is slow. Raises WitnessRefused, which says what the witness answered.
    """
    newest = checkpoints.latest() or checkpoints.make()
    name = configured.key.name
    held = Cosignature.objects.filter(checkpoint=newest, witness=name).first()
    if held is not None:
        return held
    last = Cosignature.objects.filter(witness=name).aggregate(last=Max("checkpoint_id"))["last"] or 0
    status, body = _post(configured.url, _request(last, newest))
    if status == 409 and body.strip().isdigit() and int(body) != last:
        # It remembers more, or less, than we do: its own word says from where the proof must lead.
        if int(body) > newest.size:
            raise WitnessRefused(f"{name} has seen a larger log ({body.strip()} leaves) than this one: look at once.")
        status, body = _post(configured.url, _request(int(body), newest))
    if status != 200:
        raise WitnessRefused(f"{name} answered {status}: {body.strip()[:200]}")
    try:
        answered = body.splitlines(keepends=True)
        lines = [line for line in answered if cosignatures.verified(newest.note + line, [configured.key])]
    except notes.BadNote as error:
        raise WitnessRefused(f"{name}: {error}") from error
    if not lines:
        raise WitnessRefused(f"{name} sent no cosignature of the configured key.")
    return Cosignature.objects.get_or_create(checkpoint=newest, witness=name, defaults={"line": lines[0]})[0]


def _request(old_size: int, newest: Checkpoint) -> bytes:
    proof = tree.consistency_proof(old_size, newest.size)
    return witness.request(old_size=old_size, proof=proof, note=newest.note)


def _post(url: str, body: bytes) -> tuple[int, str]:
    import httpx

    try:
        with httpx.Client(timeout=TIMEOUT) as client:
            call: Any = client.stream("POST", f"{url}/add-checkpoint", content=body)
            with call as response:
                read = bytearray()
                for piece in response.iter_bytes():
                    read += piece
                    if len(read) > MAX_ANSWER:
                        raise WitnessRefused("The answer is too long to be a cosignature.")
                return response.status_code, bytes(read).decode("utf-8", "replace")
    except httpx.HTTPError as error:
        raise WitnessRefused(f"{url}: {error}") from error
