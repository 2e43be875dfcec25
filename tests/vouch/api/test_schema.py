"""The API describes itself: the snapshot in the repository is what the code says, and the page works under our CSP."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def test_the_snapshot_is_what_the_code_says(tmp_path):
    written = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(written))
    assert written.read_text() == Path("docs/openapi.yaml").read_text(), "run `make schema` and read the difference"


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
