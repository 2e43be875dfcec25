"""The API describes itself: the snapshot in the repository is what the code says, and the page works under our CSP."""

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def test_the_snapshot_is_what_the_code_says(tmp_path):
    written = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(written))
    assert written.read_text() == Path("docs/openapi.yaml").read_text(), "run `make schema` and read the difference"


def test_every_operation_says_what_it_does_and_every_refusal_why() -> None:
    paths = yaml.load(Path("docs/openapi.yaml").read_text(), yaml.CSafeLoader)["paths"]
    found = [(f"{method} {path}", one) for path, operations in paths.items() for method, one in operations.items()]
    assert len(found) > 200
    assert [name for name, one in found if len(one.get("summary", "")) < 8 or one["summary"].endswith(".")] == []
    assert len({one["operationId"] for _, one in found}) == len(found)
    silent = [
        (name, status) for name, one in found for status, said in one["responses"].items()
        if status >= "400" and (not said["description"] or not said.get("content"))
    ]  # fmt: skip
    assert silent == []
    again = [said for _, one in found for status, said in one["responses"].items() if status in ("429", "503")]
    assert len(again) > 400
    assert all(said["headers"]["Retry-After"] for said in again)


def test_the_page_holds_no_inline_script(client):
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    scripts = re.findall(r"<script([^>]*)>", page.content.decode())
    assert len(scripts) >= 3
    assert all("src=" in script for script in scripts)
    assert (
        client.get(re.findall(r'src="(/api/v1/docs[^"]*)"', page.content.decode())[0].replace("&amp;", "&")).status_code
        == 200
    )
