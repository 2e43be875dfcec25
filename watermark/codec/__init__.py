"""The watermark: 48 bits in speech that survive what happens to recordings, found again with a proved bound."""

from watermark.codec.detect import Detector, Match, Presence, detect_presence
from watermark.codec.embed import embed, embed_batch, embed_checked, embed_stream
from watermark.codec.index import IssuedIndex

__all__ = [
    "Detector",
    "IssuedIndex",
    "Match",
    "Presence",
    "detect_presence",
    "embed",
    "embed_batch",
    "embed_checked",
    "embed_stream",
]
