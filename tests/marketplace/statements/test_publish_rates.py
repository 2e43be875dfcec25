"""The command that keeps a day's rates: what it takes, what it refuses, and that a refusal leaves nothing."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from foundation.audit.models import Leaf
from marketplace.management.commands.publish_rates import MAX_FILE
from marketplace.statements.models import RateTable

pytestmark = pytest.mark.django_db
TABLE = {"v": 1, "date": "2026-11-30", "base": "EUR", "rates": {"USD": "1.0853"}}


def publish(path: Path, content: Any) -> str:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    out = io.StringIO()
    call_command("publish_rates", str(path), stdout=out)
    return out.getvalue()


def published() -> list[str]:
    return [leaf.kind for leaf in Leaf.objects.all() if leaf.kind == "rates.published"]


def test_a_day_s_rates_are_kept_once_and_logged(tmp_path: Path) -> None:
    said = publish(tmp_path / "rates.json", TABLE)
    kept = RateTable.objects.get()
    assert said.split() == ["2026-11-30", kept.sha256]
    assert kept.table == TABLE
    assert publish(tmp_path / "again.json", TABLE) == said
    assert published() == ["rates.published"]


def test_another_table_of_the_same_day_is_refused_by_name(tmp_path: Path) -> None:
    publish(tmp_path / "rates.json", TABLE)
    with pytest.raises(CommandError, match="rates_fixed"):
        publish(tmp_path / "other.json", {**TABLE, "rates": {"USD": "2"}})
    assert RateTable.objects.get().table == TABLE
    assert len(published()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"not JSON",
        b" " * (MAX_FILE + 1),
        [],
        {**TABLE, "v": 2},
        {**TABLE, "date": "2026-02-30"},
        {**TABLE, "base": []},
        {**TABLE, "base": "XXX"},
        {**TABLE, "rates": {}},
        {**TABLE, "rates": {"EUR": "1"}},
        {**TABLE, "rates": {"USD": 1.0853}},
        {**TABLE, "rates": {"USD": "0"}},
        {**TABLE, "rates": {"USD": "-1"}},
    ],
)
def test_what_is_no_rate_table_is_refused_and_leaves_nothing(tmp_path: Path, content: Any) -> None:
    with pytest.raises(CommandError):
        publish(tmp_path / "rates.json", content)
    assert not RateTable.objects.exists()
    assert published() == []


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("publish_rates", str(tmp_path / "none.json"))
