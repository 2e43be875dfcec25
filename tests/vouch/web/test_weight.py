"""What makes a page quick and sound before any script runs: what Lighthouse looks at, as HTML and headers show it.

Lighthouse itself is no Python package and is not run here.
"""

import gzip
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.staticfiles.finders import find
from django.test import Client, override_settings
from whitenoise.middleware import WhiteNoiseMiddleware

from vouch.statics import Collected

pytestmark = pytest.mark.django_db
PAGES = ["/", "/sign-in", "/sign-up", "/trace", "/log", "/retention"]
MINE = ["/", "/consent", "/me", "/recordings", "/market", "/earnings"]
MOST_BYTES = 150_000
"""Of one page with every style and script that it names, uncompressed."""


def facts(client: Client, path: str) -> None:
    answer = client.get(path, headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert answer["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer["Vary"]
    html = gzip.decompress(answer.content).decode()
    head = html.partition("</head>")[0]
    assert html.startswith("<!doctype html>")
    assert re.search(r'<html lang="(en|zh-hans)">', head)
    assert '<meta charset="utf-8">' in head
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in head
    assert re.search(r'<meta name="description" content="[^"]{50,200}">', head)
    assert re.search(r"<title>\s*\S", head)
    for tag in re.findall(r"<script[^>]*>", html):
        assert "src=" in tag
        assert 'type="module"' in tag or " defer " in tag, f"{tag} holds up the page"
    for tag in re.findall(r"<img[^>]*>", html):
        assert {"alt=", "width=", "height="} <= set(re.findall(r"\w+=", tag)), tag
    assert not re.search(r'(src|href)="(http:)?//', html)
    named = re.findall(r'(?:src|href)="/static/([^"]+\.(?:js|css|svg))"', html)
    assert 1 <= len(named) < 20
    assert len(html) + sum(Path(str(find(name))).stat().st_size for name in named) < MOST_BYTES


@pytest.mark.parametrize("path", PAGES)
def test_public_pages(path: str) -> None:
    facts(Client(), path)


def test_pages_of_members(person: Any) -> None:
    client = Client()
    client.force_login(person())
    for path in MINE:
        facts(client, path)


def test_sound_events_and_answers_of_the_api_are_not_compressed(api: Any, person: Any) -> None:
    answer = api(person()).get("me", **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer


def test_collected_files_are_kept_for_good_by_their_digest_and_sent_compressed(tmp_path: Path) -> None:
    source = Path(str(find("web/console.css"))).parent
    shutil.copytree(source, tmp_path / "web")
    storage = Collected(location=str(tmp_path), base_url="/static/")
    names = [str(file.relative_to(source.parent)) for file in source.rglob("*") if file.is_file()]
    paths = {name: (storage, name) for name in names}
    assert not [one for one in storage.post_process(paths) if isinstance(one[2], Exception)]
    page = storage.url("web/me.js")
    assert re.fullmatch(r"/static/web/me\.[0-9a-f]{12}\.js", page)
    assert re.search(r'from "\./api\.[0-9a-f]{12}\.js"', (tmp_path / page.removeprefix("/static/")).read_text())
    for importer, library in (("wave", "vendor/wavesurfer/wavesurfer.esm"), ("curve", "vendor/uplot/uPlot.esm")):
        script = (tmp_path / storage.url(f"web/{importer}.js").removeprefix("/static/")).read_text()
        assert re.search(rf'import\("\./{re.escape(library)}\.[0-9a-f]{{12}}\.js"\)', script)
    with override_settings(STATIC_ROOT=str(tmp_path), STORAGES=dict(configured.STORAGES)):
        served = WhiteNoiseMiddleware(lambda request: None)
        hashed, plain = served.files[page], served.files["/static/web/me.js"]
    environ = {"HTTP_ACCEPT_ENCODING": "gzip"}
    headers = dict(hashed.get_response("HEAD", environ).headers)
    assert headers["Content-Encoding"] == "gzip"
    assert "immutable" in headers["Cache-Control"]
    assert "immutable" not in dict(plain.get_response("HEAD", environ).headers)["Cache-Control"]
    # Another site's page loads the player from here: a module script is asked for with CORS.
    player = dict(served.files["/static/web/player.js"].get_response("HEAD", {}).headers)
    assert player["Access-Control-Allow-Origin"] == "*"
    assert configured.STORAGES["staticfiles"]["BACKEND"] == "vouch.statics.Collected"
