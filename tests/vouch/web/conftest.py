"""A real browser against the real pages, with a microphone that hums."""

import os
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from consent.models import Challenge
from tests.consent.factories import passed_challenge

CHROMIUM = Path(os.environ.get("VOUCH_CHROMIUM", "/usr/bin/chromium"))
HUM_HZ = 440
WAIT_MS = 30_000
"""How long the browser waits for anything: generous, for machines that are busy with something else."""
RESUMED = """([person, challenge]) => localStorage.setItem("vouch-ceremony", JSON.stringify(
  { person, challenge, recordings: [], sent: [], consent: null, voice: null, at: Date.now() }))"""


@pytest.fixture(scope="session")
def hum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake microphone hears, again and again: whole periods, so that it repeats without a click."""
    path = tmp_path_factory.mktemp("microphone") / "hum.wav"
    samples = 0.3 * np.sin(2 * np.pi * HUM_HZ * np.arange(48_000 * 5) / 48_000)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def chromium(hum: Path) -> Iterator[Any]:
    if not CHROMIUM.exists():
        if os.environ.get("VOUCH_REQUIRE_PARTS") == "1":
            pytest.fail(f"There is no Chromium at {CHROMIUM} (set VOUCH_CHROMIUM).")
        pytest.skip(f"there is no Chromium at {CHROMIUM} (set VOUCH_CHROMIUM)")
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch:
        # Playwright keeps an event loop in this thread, and Django's ORM is used beside it, never inside it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=str(CHROMIUM),
                args=[
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--disable-quic",
                    "--use-fake-device-for-media-stream",
                    "--use-fake-ui-for-media-stream",
                    f"--use-file-for-fake-audio-capture={hum}",
                ],
            )
            yield browser
            browser.close()


@pytest.fixture
def page(chromium: Any, live_server: Any) -> Iterator[Any]:
    """A fresh tab. Whatever the browser complains about (a blocked script, an exception) fails the test."""
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.set_default_timeout(WAIT_MS)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    yield tab
    context.close()
    # An answer of 4xx, or none, is what a test may be about: the browser and htmx report each as an error of its own.
    expected = ("Failed to load resource", "htmx:sendError", "htmx:afterRequest")
    assert [one for one in complaints if not any(known in one for known in expected)] == []


@pytest.fixture
def sign_in(page: Any, live_server: Any) -> Any:
    """``sign_in(person)``: the tab belongs to that person from here on."""

    def make(person: Any) -> Any:
        session = SessionStore()
        session[SESSION_KEY] = str(person.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = person.get_session_auth_hash()
        session.save()
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": live_server.url}
        page.context.add_cookies([cookie])
        return page

    return make


@pytest.fixture
def at_the_reading(page: Any, sign_in: Any) -> Callable[[Any], Challenge]:
    """Somebody who has passed the challenge, at the step after it."""

    def make(speaker: Any) -> Challenge:
        challenge: Challenge = passed_challenge(speaker)
        sign_in(speaker).goto("/log")
        page.evaluate(RESUMED, [str(speaker.pk), str(challenge.id)])
        page.goto("/consent")
        page.get_by_role("button", name="Start reading").wait_for()
        return challenge

    return make
