"""How long words may be, in characters."""

from typing import Final

REASON_CHARS: Final = 2_000
CLAUSE_CHARS: Final = 64
REF_CHARS: Final = 64
