"""The implicit label in the file's metadata (GB 45438-2025, 6.1 and Annex E; containers: TC260-PG-202510A).

Exactly one label a file: seven string values in a JSON object, in the place each container has for it. Written bare
where the carrier's key is already ``AIGC``, read bare or wrapped in ``{"AIGC": ...}``. Whatever is written is read
back before it is returned.
"""

from __future__ import annotations

import io
import json
import re
import struct
from dataclasses import dataclass
from typing import Any

import mutagen
from mutagen.flac import FLAC
from mutagen.id3 import TXXX
from mutagen.mp3 import MP3
from mutagen.oggopus import OggOpus

from watermark.labels.id3 import Id3Error, user_texts
from watermark.labels.mp4 import Mp4Error, items, with_item

#: Name of the field in every container.
FIELD = "AIGC"
#: The seven keys, in the order of Annex E.
KEYS = ("Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2")
#: "Is generated": what a producer writes. "2" may be, "3" suspected.
IS_GENERATED = "1"
#: Characters a value may hold (Annex E j): printable single bytes without space, quote and backslash.
VALUE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]*")
#: Longest value in characters.
MAX_VALUE = 512
#: Longest label in bytes that is parsed.
MAX_LABEL = 8_192
#: Provider code (TC260-PG-20252A): 00, 1, 1, eighteen of the credit code, then 1 or 2 and four of the provider's own,
#: or five zeros.
PROVIDER_CODE = re.compile(r"0011[0-9A-Z]{18}(?:[12][0-9A-Z]{4}|00000)")


class AigcError(ValueError):
    """The label is malformed or cannot be written or read."""


class DuplicateLabel(AigcError):
    """The file holds a label already, or more than one."""


class NoLabel(AigcError):
    """The file holds no label."""


@dataclass(frozen=True)
class AigcLabel:
    """The seven values. Build a first label with produced(); the constructor checks every value."""

    label: str
    content_producer: str
    produce_id: str
    reserved_code1: str
    content_propagator: str
    propagate_id: str
    reserved_code2: str

    def __post_init__(self) -> None:
        for key, value in self.pairs():
            if not isinstance(value, str) or len(value) > MAX_VALUE or not VALUE.fullmatch(value):
                raise AigcError(f"{key}: printable single-byte characters without space, quote and backslash only")
            if not value and not key.startswith("ReservedCode"):
                raise AigcError(f"{key} must not be empty")
        if self.label not in ("1", "2", "3"):
            raise AigcError("Label must be 1, 2 or 3")

    @classmethod
    def produced(cls, *, provider_code: str, content_id: str, reserved: str = "") -> AigcLabel:
        """The label a producer writes: the propagator's values are the producer's (Annex E, note 1)."""
        if not PROVIDER_CODE.fullmatch(provider_code):
            raise AigcError("the provider code must have the 27 characters of TC260-PG-20252A")
        return cls(IS_GENERATED, provider_code, content_id, reserved, provider_code, content_id, "")

    def pairs(self) -> list[tuple[str, str]]:
        """Keys and values in the order of Annex E."""
        return list(
            zip(
                KEYS,
                (
                    self.label,
                    self.content_producer,
                    self.produce_id,
                    self.reserved_code1,
                    self.content_propagator,
                    self.propagate_id,
                    self.reserved_code2,
                ),
                strict=True,
            )
        )

    def to_json(self) -> str:
        """The bare object, without spaces."""
        return json.dumps(dict(self.pairs()), separators=(",", ":"))


def parse(text: str) -> AigcLabel:
    """A label from its JSON, bare or wrapped. Raises AigcError unless it has exactly the seven keys, once each."""
    if len(text) > MAX_LABEL:
        raise AigcError("the label is too long")
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise AigcError("the label is not JSON with each key once") from error
    if isinstance(value, dict) and set(value) == {FIELD}:
        value = value[FIELD]
    if not isinstance(value, dict) or set(value) != set(KEYS):
        raise AigcError("the label does not have exactly the seven keys")
    return AigcLabel(*(value[key] for key in KEYS))


def write_label(data: bytes, container: str, label: AigcLabel) -> bytes:
    """``data`` with ``label`` in its metadata, read back. Raises DuplicateLabel when there is one already."""
    if raw_labels(data, container):
        raise DuplicateLabel("the file holds an AIGC label already")
    text = label.to_json()
    if container == "wav":
        written = _with_chunk(data, text.encode("ascii"))
    elif container == "m4a":
        written = _with_item(data, text)
    else:
        file, buffer = _open(data, container)
        if file.tags is None:
            file.add_tags()
        tags: Any = file.tags
        if container == "mp3":
            tags.add(TXXX(encoding=3, desc=FIELD, text=[text]))
        else:
            tags[FIELD] = [text]
        buffer.seek(0)
        file.save(buffer)
        written = buffer.getvalue()
    if read_label(written, container) != label:
        raise AigcError("the label did not read back as written")
    return written


def read_label(data: bytes, container: str) -> AigcLabel:
    """The one label of a file. Raises NoLabel, DuplicateLabel, AigcError."""
    texts = raw_labels(data, container)
    if not texts:
        raise NoLabel("the file holds no AIGC label")
    if len(texts) > 1:
        raise DuplicateLabel(f"the file holds {len(texts)} AIGC labels")
    return parse(texts[0])


@dataclass(frozen=True)
class Inspected:
    """What a file's label says, however badly: the values of the first label, whether it stands in a wrapper, and the
    faults as (code, detail): duplicate, malformed, keys, characters, empty, not_generated."""

    values: dict[str, str]
    wrapped: bool
    faults: tuple[tuple[str, str], ...]


def inspect(data: bytes, container: str) -> Inspected | None:
    """Look at a label that anybody may have written; None when there is none. Raises AigcError for a malformed file.

    Makers break the rules (spaces in a value, a name where a code belongs): a reader tolerates and reports it.
    """
    texts = raw_labels(data, container)
    if not texts:
        return None
    faults = [("duplicate", f"{len(texts)} labels in one file")] if len(texts) > 1 else []
    try:
        if len(texts[0]) > MAX_LABEL:
            raise ValueError
        value = json.loads(texts[0], object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return Inspected({}, False, (*faults, ("malformed", "the label is not JSON with each key once")))
    wrapped = isinstance(value, dict) and set(value) == {FIELD}
    value = value[FIELD] if wrapped else value
    if not isinstance(value, dict):
        return Inspected({}, wrapped, (*faults, ("malformed", "the label is no JSON object")))
    if set(value) != set(KEYS):
        faults.append(("keys", "the label does not have exactly the seven keys"))
    values = {key: value[key] for key in KEYS if isinstance(value.get(key), str)}
    if odd := [key for key, text in values.items() if len(text) > MAX_VALUE or not VALUE.fullmatch(text)]:
        faults.append(("characters", f"{', '.join(odd)}: space, quote, backslash or a character beyond ASCII"))
    if empty := [key for key in ("Label", "ContentProducer", "ProduceID") if not values.get(key)]:
        faults.append(("empty", f"{', '.join(empty)}: no value"))
    elif values["Label"] != IS_GENERATED:
        faults.append(("not_generated", f'Label is {values["Label"]!r}: not a producer\'s "1"'))
    return Inspected(values, wrapped, tuple(faults))


def raw_labels(data: bytes, container: str) -> list[str]:
    """Texts of all AIGC fields of a file, unparsed. Raises AigcError when the file is malformed."""
    if container == "wav":
        return [body.decode("utf-8", "replace") for name, body in _chunks(data) if name == FIELD.encode()]
    if container == "m4a":
        try:
            return [text for name, text in items(data) if name.upper() == FIELD]
        except Mp4Error as error:
            raise AigcError(str(error)) from error
    file, _ = _open(data, container)
    if container == "mp3":
        try:
            return [text for name, text in user_texts(data) if name.upper() == FIELD]
        except Id3Error as error:
            raise AigcError(str(error)) from error
    if file.tags is None:
        return []
    return [text for name, text in file.tags if name.upper() == FIELD]


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _open(data: bytes, container: str) -> tuple[mutagen.FileType, io.BytesIO]:
    kinds = {"mp3": MP3, "flac": FLAC, "opus": OggOpus}
    if container not in kinds:
        raise AigcError(f"there is no place for a label in {container!r}")
    buffer = io.BytesIO(data)
    try:
        return kinds[container](fileobj=buffer), buffer
    except mutagen.MutagenError as error:
        raise AigcError(f"the file is no readable {container}") from error


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and bodies of the chunks of a WAV file, whose sizes must fill the file exactly."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AigcError("the file is no WAV")
    if struct.unpack_from("<I", data, 4)[0] + 8 != len(data):
        raise AigcError("the WAV's size does not fit the file")
    chunks, at = [], 12
    while at < len(data):
        if at + 8 > len(data):
            raise AigcError("the WAV ends inside a chunk")
        name, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > len(data):
            raise AigcError("a chunk of the WAV is longer than the file")
        chunks.append((name, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return chunks


def _with_item(data: bytes, text: str) -> bytes:
    try:
        return with_item(data, FIELD, text)
    except Mp4Error as error:
        raise AigcError(str(error)) from error


def _with_chunk(data: bytes, body: bytes) -> bytes:
    """The WAV with one more chunk at its end; chunks are padded to an even length, which their size leaves out."""
    chunk = struct.pack("<4sI", FIELD.encode(), len(body)) + body + b"\0" * (len(body) % 2)
    total = len(data) - 8 + len(chunk)
    if total >= 1 << 32:
        raise AigcError("the WAV would be longer than 4 GiB")
    return data[:4] + struct.pack("<I", total) + data[8:] + chunk
