"""What lies in an auditor's bundle, by name and order; the writer and the reader both go by this list. Pure."""

from typing import Final

VERSION: Final = 1

ABOUT: Final = "about.json"
"""v, origin, from and to (ISO, UTC; ``to`` is the first moment after), for (who may see it), first, end, size."""

CHECKPOINT: Final = "checkpoint"
"""The signed note of the whole log, with its witnesses' cosignatures."""

PROOF: Final = "proof.json"
"""``left`` and ``right``: the hashes (hex) beside the events, which lead to the checkpoint's root."""

FIGURES: Final = "figures.json"
"""What the platform says it did (``figures``); the reader counts again."""

MODELS: Final = "models.json"
"""Name, size and SHA-256 of every model file in use."""

SCHEMAS: Final = "schemas.json"
"""JSON Schema of every kind of event in every version."""

EVENTS: Final = "events.jsonl"
"""One line a leaf, from ``first`` to ``end - 1``: ``{"body", "index"}``, or ``{"hash", "index"}`` if not to be seen."""

CERTIFICATES: Final = "certificates.jsonl"
"""The deletion certificates of the recordings destroyed in these leaves, one a line."""

HEAD: Final = (ABOUT, CHECKPOINT, PROOF, FIGURES, MODELS, SCHEMAS)
TAIL: Final = (EVENTS, CERTIFICATES)
"""First and last in the bundle; between them keys and texts, under ``keys/`` and ``texts/``."""

LONGEST: Final = {EVENTS: 64 * 1024, CERTIFICATES: 256 * 1024}
"""Bytes of a line."""

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of any file that is read whole."""
