"""A witness: it cosigns a log's checkpoint only when the log has grown consistently (c2sp.org/tlog-witness). Pure.

Run by somebody who is not the log's operator. What it remembers of each log is one file, written before it answers;
a witness whose memory is lost must not be started again under the same key, for it could cosign a second history.
"""

import base64
import binascii
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.audit import cosignatures, merkle, notes

MAX_PROOF: Final = 63
"""Hashes of a consistency proof that are read; the specification's own bound."""

MAX_REQUEST: Final = notes.MAX_NOTE + 16 * 1024
"""Bytes of a request."""

SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of the answer that tells how far this witness has followed the log."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, content type and body."""

    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


class Memory:
    """The newest checkpoint seen of each log, one small file a log. Locked while it is compared and replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self, origin: str) -> Iterator["Slot"]:
        """One log's memory, for one comparison at a time on this machine."""
        name = base64.urlsafe_b64encode(origin.encode()).decode().rstrip("=")[:180]
        handle = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Slot(self._folder / f"{name}.seen", origin)
        finally:
            os.close(handle)


class Slot:
    """What is remembered of one log."""

    def __init__(self, path: Path, origin: str) -> None:
        self._path, self._origin = path, origin

    def read(self) -> tuple[int, bytes]:
        """Size and root last cosigned; (0, the empty root) before the first. Raises notes.BadNote when damaged."""
        try:
            lines = self._path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return 0, merkle.EMPTY_ROOT
        try:
            origin, size, root = lines[0], int(lines[1]), bytes.fromhex(lines[2])
        except (IndexError, ValueError) as error:
            raise notes.BadNote(f"{self._path} is damaged: do not go on under this key") from error
        if origin != self._origin or size < 0 or len(root) != merkle.HASH_SIZE:
            raise notes.BadNote(f"{self._path} is damaged: do not go on under this key")
        return size, root

    def write(self, size: int, root: bytes) -> None:
        """On disk when this returns: a cosignature may leave only after it."""
        draft = self._path.with_suffix(".draft")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{self._origin}\n{size}\n{root.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class Witness:
    """``name`` and Ed25519 ``private_key`` (32 raw bytes) of this witness, the ``logs`` it follows (origin to the log's
    32-byte public key), its ``memory`` and a ``clock`` of POSIX seconds."""

    name: str
    private_key: bytes
    logs: Mapping[str, bytes]
    memory: Memory
    clock: Callable[[], float]

    def add_checkpoint(self, request: bytes) -> Answer:
        """Answers one ``add-checkpoint`` request as the specification says; never raises for what a client sent."""
        if len(request) > MAX_REQUEST:
            return Answer(400, "The request is too large.\n")
        try:
            old_size, proof, note = _parse(request)
            origin = note.split("\n", 1)[0]
            if origin not in self.logs:
                return Answer(404, "This witness does not follow that log.\n")
            try:
                stated = notes.verify(note, self.logs[origin], origin=origin)
            except notes.BadSignature:
                return Answer(403, "The checkpoint is not signed by the log's key.\n")
        except (notes.BadNote, UnicodeDecodeError) as error:
            return Answer(400, f"{error}\n")
        if old_size > stated.size:
            return Answer(400, "The old size is larger than the checkpoint.\n")
        with self.memory.locked(origin) as slot:
            seen_size, seen_root = slot.read()
            if old_size != seen_size:
                return Answer(409, f"{seen_size}\n", SIZE_TYPE)
            if stated.size == seen_size and stated.root != seen_root:
                return Answer(409, f"{seen_size}\n", SIZE_TYPE)
            try:
                merkle.verify_consistency(
                    old_size=seen_size, new_size=stated.size, old_root=seen_root, new_root=stated.root, proof=proof
                )
            except merkle.MerkleError as error:
                return Answer(422, f"The consistency proof does not verify: {type(error).__name__}.\n")
            slot.write(stated.size, stated.root)
            line = cosignatures.cosign(note, name=self.name, private_key=self.private_key, time=int(self.clock()))
        return Answer(200, line)


@dataclass(frozen=True, slots=True)
class Configured:
    """A witness of this deployment: its key and the URL before ``/add-checkpoint``."""

    key: cosignatures.WitnessKey
    url: str


def parse(text: str) -> tuple[Configured, ...]:
    """``VOUCH_WITNESSES``: pairs ``verifier-key URL``, separated by commas. Raises notes.BadNote."""
    found = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, url = pair.partition(" ")
        if not url.strip().startswith(("https://", "http://")):
            raise notes.BadNote(f"{pair[:60]!r} is not a verifier key and a URL")
        found.append(Configured(cosignatures.WitnessKey.parse(key), url.strip().rstrip("/")))
    if len({one.key.name for one in found}) < len(found):
        raise notes.BadNote("two witnesses of one name")
    return tuple(found)


def request(*, old_size: int, proof: list[bytes], note: str) -> bytes:
    """The body of an ``add-checkpoint`` request."""
    lines = [f"old {old_size}", *(base64.b64encode(step).decode() for step in proof)]
    return ("\n".join(lines) + "\n\n" + note).encode()


def _parse(body: bytes) -> tuple[int, list[bytes], str]:
    head, blank, note = body.decode("utf-8").partition("\n\n")
    first, *steps = head.split("\n")
    old = _OLD.fullmatch(first)
    if not blank or old is None or len(steps) > MAX_PROOF:
        raise notes.BadNote("not an add-checkpoint request")
    try:
        proof = [base64.b64decode(step, validate=True) for step in steps]
    except (binascii.Error, ValueError) as error:
        raise notes.BadNote("a proof line is not base64") from error
    return int(old[1]), proof, note
