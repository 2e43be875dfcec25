"""The texts licences are granted in: short ids with texts and limits that never change (as SPDX names its licences).

A text's file is checked against the hash in the index, and what was ever granted stands in the database, where a row is
written once and can be neither changed nor deleted: a file that differs from the row of its id is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from consent.agreements import TextChanged
from consent.errors import LicenceTextUnknown
from consent.models import LicenceText
from foundation.audit import canonical

FOLDER: Final = Path(__file__).parent / "licence_texts"
STANDARD: Final = "VL-STANDARD-1"
"""The text of a licence for which no other was chosen."""


@dataclass(frozen=True, slots=True)
class LicenceClass:
    """``sha256`` covers id, limits and the texts in both languages: one number for all a party relies on."""

    id: str
    offered: bool
    name: Mapping[str, str]
    texts: Mapping[str, str]
    limits: Mapping[str, Any]
    sha256: str


@lru_cache(maxsize=1)
def classes() -> tuple[LicenceClass, ...]:
    """Every licence text, checked against its pinned hashes. Raises TextChanged."""
    found = []
    for row in json.loads((FOLDER / "index.json").read_text()):
        texts = {}
        for language, digest in row["sha256"].items():
            content = (FOLDER / f"{row['id']}.{language}.md").read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                raise TextChanged(f"{row['id']}.{language}")
            texts[language] = content.decode()
        whole = canonical.encode({"id": row["id"], "limits": row["limits"], "texts": row["sha256"]})
        digest = hashlib.sha256(whole).hexdigest()
        found.append(LicenceClass(row["id"], row["offered"], row["name"], texts, row["limits"], digest))
    return tuple(found)


def named(text_id: str) -> LicenceClass:
    """The text of this id, on offer. Raises LicenceTextUnknown."""
    for one in classes():
        if one.id == text_id and one.offered:
            return one
    raise LicenceTextUnknown


def keep(found: LicenceClass) -> LicenceText:
    """The immutable row of a text that is about to be granted. Raises TextChanged when the database knows another."""
    row, _ = LicenceText.objects.get_or_create(
        id=found.id, defaults={"sha256": found.sha256, "texts": dict(found.texts), "limits": dict(found.limits)}
    )
    if row.sha256 != found.sha256:
        raise TextChanged(found.id)
    return row
