"""Where a request comes from, as far as it can be known."""

import ipaddress
from typing import Final

from django.conf import settings
from rest_framework.request import Request

SUBSCRIBER: Final = 64
"""Bits of an IPv6 address that name a subscriber; the rest are theirs to choose, anew for each request if they like."""


def address_of(request: Request) -> str:
    """The network address of the caller; empty when nothing tells it (a Unix socket without a proxy).

    Behind a proxy (``VOUCH_BEHIND_PROXY``) it is the last entry of X-Forwarded-For: the one our own proxy wrote.
    Everything before it, and the whole header without a proxy, is the caller's own claim and is not believed.
    """
    if settings.SECURE_PROXY_SSL_HEADER is not None:
        return str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def counted_as(request: Request) -> str:
    """The caller's address as limits count it: of an IPv6 address the first of its network. Empty as `address_of`."""
    given = address_of(request)
    try:
        found = ipaddress.ip_address(given)
    except ValueError:
        return given
    if not isinstance(found, ipaddress.IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, SUBSCRIBER), strict=False).network_address)
