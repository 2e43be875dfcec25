"""Where a request comes from, as far as it can be known."""

from django.conf import settings
from rest_framework.request import Request


def address_of(request: Request) -> str:
    """The network address of the caller; empty when nothing tells it (a Unix socket without a proxy).

    Behind a proxy (``VOUCH_BEHIND_PROXY``) it is the last entry of X-Forwarded-For: the one our own proxy wrote.
    Everything before it, and the whole header without a proxy, is the caller's own claim and is not believed.
    """
    if settings.SECURE_PROXY_SSL_HEADER is not None:
        return str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
    return str(request.META.get("REMOTE_ADDR", ""))
