"""A small source: two synthetic speakers who said one text of each set, and a few others."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloning.engine.evaluate.texts import items
from demo.source_speech import OTHER_TEXTS, REFERENCE_TEXT, write

SPEAKERS = ("awb", "slt")


@pytest.fixture(scope="session")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for speaker in SPEAKERS:
        place = folder / speaker
        write(
            place, speaker, [(item.id, item.spoken) for name in ("matrix", "open", "hard") for item in items(name)[:1]]
        )
        write(place, speaker, [(f"other-{number}", text) for number, text in enumerate(OTHER_TEXTS[:3])])
        write(place, speaker, [("reference", REFERENCE_TEXT)])
    return folder
