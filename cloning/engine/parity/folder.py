"""A folder of golden files as its MANIFEST.json describes it. Everything read is bounded and checked against the
manifest first: a changed file is an error, not another opinion."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: The manifest and what explains it are not golden files themselves.
UNLISTED = frozenset({"MANIFEST.json", "README.md"})
#: Most bytes of one file, and of what its compressed form may unfold to.
MOST_BYTES = 256 * 2**20
MOST_UNPACKED = 1024 * 2**20


class FolderError(Exception):
    """The folder or one of its files is not what the manifest says. The message is for the row of that file."""


class Folder:
    """Names, manifest entries and contents of the golden files. Raises FolderError when there is no usable manifest."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            manifest = json.loads(self._bounded("MANIFEST.json").decode("utf-8"))
            entries = manifest["files"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FolderError(f"{root} has no readable MANIFEST.json with a `files` table") from error
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise FolderError("`files` of MANIFEST.json is not a table of entries")
        self.entries: dict[str, dict[str, Any]] = entries

    def names(self) -> list[str]:
        """Every file of the manifest and every file that lies in the folder, sorted."""
        lying = {path.name for path in self.root.iterdir() if path.is_file()}
        return sorted((set(self.entries) | lying) - UNLISTED)

    def entry(self, name: str) -> dict[str, Any]:
        """The manifest's entry. Raises FolderError when there is none."""
        if name not in self.entries:
            raise FolderError("is not in the manifest")
        return self.entries[name]

    def read(self, name: str) -> bytes:
        """The file, of the size and SHA-256 that the manifest gives; `.xz` files unpacked. Raises FolderError."""
        entry = self.entry(name)
        try:
            data = self._bounded(name)
        except OSError as error:
            raise FolderError("is in the manifest but cannot be read") from error
        if entry.get("bytes") != len(data) or entry.get("sha256") != hashlib.sha256(data).hexdigest():
            raise FolderError("differs from the manifest (size or SHA-256)")
        if not name.endswith(".xz"):
            return data
        reader = lzma.LZMADecompressor()
        try:
            unpacked = reader.decompress(data, max_length=MOST_UNPACKED)
        except lzma.LZMAError as error:
            raise FolderError("is not a readable xz file") from error
        if not reader.eof:
            raise FolderError("is cut short or unfolds to more than is accepted")
        return unpacked

    def arrays(self, name: str) -> dict[str, Tensor]:
        """All arrays of an `.npz`. Raises FolderError."""
        try:
            with np.load(io.BytesIO(self.read(name)), allow_pickle=False) as data:
                return {key: torch.from_numpy(data[key]) for key in data.files}
        except (ValueError, OSError, TypeError, KeyError) as error:
            raise FolderError("is not a readable .npz of numbers") from error

    def table(self, name: str) -> Any:
        """The content of a `.json`. Raises FolderError."""
        try:
            return json.loads(self.read(name).decode("utf-8"))
        except ValueError as error:
            raise FolderError("is not readable JSON") from error

    def _bounded(self, name: str) -> bytes:
        with (self.root / name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise FolderError(f"is larger than {MOST_BYTES} bytes")
        return data
