"""Every code that a refusal of the API, or a job that ended badly, may carry: read from the code itself.

``docs/api.md`` holds the table between two marks; ``make schema`` writes it, a test compares it.
"""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.errors import VouchError

ROOMS: Final = ("foundation", "retention", "safety", "watermark", "consent", "cloning", "marketplace", "vouch")
PURE: Final = (
    "cloning.engine", "watermark.codec", "consent.biometrics", "safety.detectors", "vouch.client", "vouch.runtime",
    "vouch.bundle.make",
)  # fmt: skip
"""What imports torch, and raises nothing that the API or a job tells."""
BEGIN, END = "<!-- codes: written by `make schema` -->", "<!-- end of codes -->"


@dataclass(frozen=True, order=True, slots=True)
class Known:
    """A code, the statuses it comes with, and what it says when nothing more particular is said."""

    code: str
    statuses: tuple[int, ...]
    says: str


def catalogue() -> list[Known]:
    """All codes, in order."""
    found: dict[str, tuple[set[int], str]] = {}
    modules = list(_modules())
    for kind in kinds(VouchError):
        # Another test or command may have imported a pure module.
        if kind.__module__.partition(".")[0] in ROOMS and not kind.__module__.startswith(PURE):
            _add(found, kind.code, kind.status, (kind.__doc__ or "").strip().splitlines()[0])
    for path in modules:
        for code, name, says in _said_inline(path):
            raised = next((one for one in kinds(VouchError) if one.__name__ == name), None)
            if raised is not None:
                _add(found, code, raised.status, says or (raised.__doc__ or "").strip().splitlines()[0])
    return sorted(Known(code, tuple(sorted(statuses)), says) for code, (statuses, says) in found.items())


def table() -> str:
    """The catalogue as Markdown, with its marks."""
    rows = [f"| `{one.code}` | {', '.join(map(str, one.statuses))} | {one.says} |" for one in catalogue()]
    return "\n".join([BEGIN, "", "| code | status | what it says |", "|---|---|---|", *rows, "", END])


def written_into(page: str) -> str:
    """The page with today's table between the marks. Raises ValueError when a mark is missing."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError("the page has no place for the codes")
    return before + table() + after


def _add(found: dict[str, tuple[set[int], str]], code: str, status: int, says: str) -> None:
    found.setdefault(code, (set(), says))[0].add(status)


def kinds(kind: type[VouchError]) -> Iterator[type[VouchError]]:
    """A class of refusals and all below it that were imported."""
    yield kind
    for further in sorted(kind.__subclasses__(), key=lambda one: (one.__module__, one.__name__)):
        yield from kinds(further)


def _modules() -> Iterator[Path]:
    """The files of all rooms, each imported, so that every class of theirs is there."""
    for room in ROOMS:
        top = Path(importlib.import_module(room).__path__[0])
        for path in sorted(top.rglob("*.py")):
            name = ".".join([room, *path.relative_to(top).with_suffix("").parts])
            skipped = (".migrations", ".management", "bench", "__init__", "__main__", "vouch.wsgi", "vouch.celery")
            if not name.startswith(PURE) and not any(part in name for part in skipped):
                importlib.import_module(name)
                yield path


def _said_inline(path: Path) -> Iterator[tuple[str, str, str]]:
    """``SomeError("…", code="…")``: the code, the class's name, the words."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = str(getattr(node.func, "id", getattr(node.func, "attr", "")))
        code = next((one.value for one in node.keywords if one.arg == "code"), None)
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            first = node.args[0] if node.args else None
            yield code.value, name, str(first.value) if isinstance(first, ast.Constant) else ""
