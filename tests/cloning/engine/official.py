"""Where the golden fixtures of the official code lie, and how tests read them."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "gpt_sovits"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="official fixtures are not on this machine")


def arrays(name: str) -> dict[str, torch.Tensor]:
    """All arrays of an .npz as tensors."""
    with np.load(FIXTURES / name, allow_pickle=False) as data:
        return {key: torch.from_numpy(data[key]) for key in data.files}


def rows(name: str) -> Any:
    """A .json file."""
    return json.loads((FIXTURES / name).read_text("utf-8"))


def unpacked(name: str) -> bytes:
    """An .xz file's content."""
    return lzma.decompress((FIXTURES / name).read_bytes())


def manifest(name: str) -> dict[str, Any]:
    """The manifest's entry for one file."""
    entry: dict[str, Any] = rows("MANIFEST.json")["files"][name]
    return entry
