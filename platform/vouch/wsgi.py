"""WSGI entry point: ``gunicorn vouch.wsgi``.

WSGI and not ASGI for one reason: Django's ASGI handler spools every request body to a temporary file before a view
runs, in the clear. Under WSGI a view reads the socket itself, so an uploaded recording goes straight into encryption.
"""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vouch.settings")
application = get_wsgi_application()

from foundation.vault import start  # noqa: E402  (Django has to be ready)

try:
    start.check()
finally:
    # A server that forks its workers only now must not share these with them.
    connections.close_all()
    start.forget_connections()
