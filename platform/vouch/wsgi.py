"""WSGI entry point: ``gunicorn vouch.wsgi``.

WSGI and not ASGI for one reason: Django's ASGI handler spools every request body to a temporary file before a view
runs, in the clear. Under WSGI a view reads the socket itself, so an uploaded recording goes straight into encryption.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.wsgi import get_wsgi_application
from django.db import connections

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vouch.settings")
_django = get_wsgi_application()

from foundation.vault import start  # noqa: E402  (Django has to be ready)
from safety.policy import decisions  # noqa: E402
from safety.policy.errors import PackInvalid  # noqa: E402
from vouch.api.core import patience  # noqa: E402
from vouch.api.streams.socket import HANDED_OVER  # noqa: E402


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Django; but nothing is written behind a WebSocket, whose connection is no longer HTTP's. StopIteration is how an
    application tells gunicorn to close a connection and to leave it alone."""
    body = patience.watch(environ)
    try:
        response = _django(environ, start_response)
    finally:
        if body:
            body.end()
    if environ.get(HANDED_OVER):
        response.close()
        raise StopIteration
    return response


try:
    start.check()
    try:
        decisions.read_ahead()
    except PackInvalid:  # the pages open all the same, and the first text says what is wrong
        logging.getLogger("vouch.wsgi").exception("the policy could not be read ahead")
finally:
    # A server that forks its workers only now must not share these with them.
    connections.close_all()
    start.forget_connections()
