"""Where a webhook may go: https, port 443, a public address. Pure but for the resolver it is given.

A name is resolved here and the connection goes to the address that was checked, under the name's certificate: a name
that answers differently a moment later (DNS rebinding) leads nowhere else. Redirects are not followed.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

MAX_URL: Final = 500
PORT: Final = 443
Resolver = Callable[[str], Iterable[str]]
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_INNER = (".local", ".internal", ".localhost", ".lan", ".home.arpa", ".test", ".onion")
_TRANSLATED = (
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("2001::/32"),
)
"""IPv6 that carries an IPv4 address inside: what it leads to cannot be told from outside."""


class NotPublic(ValueError):
    """A webhook may not go there; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """``host`` for the certificate and the Host header, ``path`` with its query, ``address`` to connect to."""

    host: str
    path: str
    address: str


def check_url(url: str) -> tuple[str, str]:
    """Host and path of an acceptable address. Raises NotPublic."""
    if len(url) > MAX_URL or not url.isascii() or any(ord(sign) <= 32 or ord(sign) == 127 for sign in url):
        raise NotPublic(f"an address has at most {MAX_URL} printable ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NotPublic("not an address") from error
    if parts.scheme != "https":
        raise NotPublic("only https")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise NotPublic("no user, no password, no fragment")
    if port not in (None, PORT):
        raise NotPublic(f"only port {PORT}")
    host = (parts.hostname or "").rstrip(".").lower()
    if not _NAME.fullmatch(host) or host.endswith(_INNER):
        raise NotPublic("only a public host name")
    return host, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def target(url: str, resolve: Resolver | None = None) -> Target:
    """Where to connect for ``url``. Every address of its name has to be public. Raises NotPublic."""
    host, path = check_url(url)
    try:
        addresses = list((resolve or _resolve)(host))
    except OSError as error:
        raise NotPublic(f"{host} does not resolve") from error
    if not addresses:
        raise NotPublic(f"{host} does not resolve")
    for address in addresses:
        if not is_public(address):
            raise NotPublic(f"{host} leads to an address that is not public")
    return Target(host, path, addresses[0])


def is_public(address: str) -> bool:
    """Whether an IP address is on the open internet: no loopback, private, link-local, shared, reserved, multicast."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None or found.scope_id or any(found in net for net in _TRANSLATED):
            return False
        if found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved and not found.is_unspecified


def _resolve(host: str) -> list[str]:
    found = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
