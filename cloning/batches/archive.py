"""A batch's recordings as a ZIP that is never whole anywhere: made piece by piece while it is sent.

Sound is stored, not deflated: it would not get smaller. The manifest comes last, because only then is it known which
recordings could still be handed out; one that was withdrawn meanwhile is named in it and has no file.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from cloning import selectors
from cloning.batches.errors import NothingToDownload
from cloning.batches.models import Batch, BatchKind, Line
from cloning.batches.selectors import lines
from cloning.batches.states import LineState
from cloning.errors import OutputRevoked
from cloning.models import Output
from foundation.audit import receipts
from foundation.errors import Gone
from foundation.identity.actors import Actor
from foundation.vault import services as vault

COLUMNS: Final = (
    "line", "state", "text_sha256", "characters", "chapter", "file", "output", "output_state", "sha256", "seconds",
    "at_ms", "milliseconds", "late_ms", "receipt", "error_code", "error_detail",
)  # fmt: skip
MANIFEST_VERSION: Final = 1
EXTENSIONS: Final = {"opus": "opus", "wav": "wav", "flac": "flac", "mp3": "mp3", "m4a": "m4a"}


class _Pipe(io.RawIOBase):
    """What `zipfile` writes into and the response takes out of. Not seekable: sizes follow each file."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data


def zipped(*, actor: Actor, batch: Batch) -> Iterator[bytes]:
    """The archive in pieces of about a chunk of the vault. Checks that there is something at the call.

    Raises NothingToDownload.
    """
    found = list(lines(batch))
    if not any(line.state == LineState.DONE for line in found):
        raise NothingToDownload
    return _pieces(actor, batch, found)


def _pieces(actor: Actor, batch: Batch, found: list[Line]) -> Iterator[bytes]:
    pipe = _Pipe()
    rows: list[dict[str, Any]] = []
    made: dict[Any, dict[str, Any]] = {}
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for line in found:
            row = _row(line)
            output = line.request.output if line.state == LineState.DONE and line.request else None
            if output is not None:
                if output.id not in made:
                    made[output.id] = told = _told(output, _name(batch, line, {one["file"] for one in made.values()}))
                    try:
                        playable = selectors.playable_output(actor=actor, output_id=output.id)
                        chunks = vault.read_stream(sealed_object=playable.sealed, actor=actor)
                    except (OutputRevoked, Gone) as error:
                        told |= {"file": "", "receipt": "", "output_state": error.extra.get("state", "gone")}
                    else:
                        with archive.open(_info(told["file"], output.created_at, playable.sealed.size), "w") as entry:
                            for chunk in chunks:
                                entry.write(chunk)
                                yield pipe.taken()
                        receipt = json.dumps(receipts.receipt(output.leaf_index), indent=1)
                        archive.writestr(_info(told["receipt"], output.created_at), receipt)
                        yield pipe.taken()
                row |= made[output.id]
            rows.append(row)
        archive.writestr(_info("manifest.json", batch.created_at), _manifest(batch, rows))
        archive.writestr(_info("manifest.csv", batch.created_at), _table(rows))
    yield pipe.taken()


def _row(line: Line) -> dict[str, Any]:
    return dict.fromkeys(COLUMNS, "") | {
        "line": line.number,
        "state": line.state,
        "text_sha256": line.text_digest,
        "characters": line.characters,
        "chapter": line.chapter,
        "at_ms": line.at_ms,
        "milliseconds": line.milliseconds,
        "late_ms": line.late_ms,
        "error_code": line.error_code,
        "error_detail": line.error_detail,
    }


def _told(output: Output, file: str) -> dict[str, Any]:
    return {
        "output": str(output.id),
        "output_state": output.state,
        "file": file,
        "sha256": output.sha256,
        "seconds": round(output.seconds, 3),
        "receipt": f"receipts/{output.id}.json",
    }


def _name(batch: Batch, line: Line, taken: set[str]) -> str:
    """The table's own name, else the line's number; never one that is there already, in whatever case."""
    stem = line.file or f"line-{line.number:04d}"
    if batch.kind == BatchKind.NARRATION:
        stem = "narration"
    ending = "." + EXTENSIONS[batch.container]
    name = stem if stem.casefold().endswith(ending) else stem + ending
    if name.casefold() in {one.casefold() for one in taken}:
        name = f"{stem}-{line.number:04d}{ending}"
    return name


def _info(name: str, moment: datetime, size: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, moment.timetuple()[:6])
    info.external_attr = 0o644 << 16
    info.file_size = size
    return info


def _manifest(batch: Batch, rows: list[dict[str, Any]]) -> str:
    told = {
        "version": MANIFEST_VERSION,
        "batch": str(batch.id),
        "kind": batch.kind,
        "voice": str(batch.voice_id),
        "rehearsal": batch.voice.rehearsal,
        "made_by": "artificial intelligence",
        "created_at": batch.created_at.isoformat(),
        "state": batch.state,
        "lines": rows,
    }
    return json.dumps(told, ensure_ascii=False, indent=1)


def _table(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
