"""docs/custody.md: every statement names its test, and every named test exists."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "custody.md"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@cache
def _names(path: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_statement_names_a_test() -> None:
    statements = re.findall(r"^\* .*$", PAGE.read_text(), re.M)
    assert len(statements) > 35
    assert [one for one in statements if not NAMED.search(one)] == []


def test_every_named_test_exists() -> None:
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 40
    missing = [f"{path}::{name}" for path, name in named if name not in _names(path)]
    assert missing == []
