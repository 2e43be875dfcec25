"""Reading the environment: each value typed, each mistake loud, secrets from ``NAME`` or the file in ``NAME_FILE``."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def text(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, default)
    if value is None or value == "":
        raise ImproperlyConfigured(f"{name} is not set. The README's configuration table says what it is for.")
    return value


def flag(name: str, default: bool) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    try:
        return BOOLEANS[raw.strip().lower()]
    except KeyError:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(BOOLEANS)}; it is {raw!r}.") from None


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}; it is {value!r}.")
    return value


def integer(name: str, default: int, *, low: int, high: int) -> int:
    raw = os.environ.get(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number; it is {raw!r}.") from None
    if not low <= value <= high:
        raise ImproperlyConfigured(f"{name} must be {low} to {high}; it is {value}.")
    return value


def folder(name: str) -> Path | None:
    """A folder that must be there, None when the variable is not set."""
    raw = os.environ.get(name)
    if not raw:
        return None
    if not Path(raw).is_dir():
        raise ImproperlyConfigured(f"{name} must be a folder; there is none at {raw!r}.")
    return Path(raw).resolve()


def given(name: str) -> bool:
    """Whether a secret is set, here or by its file."""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def secret(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error}") from error
    return text(name)


def postgres(name: str = "DATABASE_URL") -> dict[str, Any]:
    """``postgresql://user:password@host:port/dbname?host=/socket/folder`` as Django's settings.

    Compiling a query before it runs is switched off unless the address has ``options`` of its own: the pages' queries
    take milliseconds, and a guess of a large table had one of them compiled, each time, for longer than it ran.
    """
    url = urlsplit(secret(name))
    if url.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name} must be a postgresql:// URL. Vouch runs on PostgreSQL only.")
    query = {key: values[-1] for key, values in parse_qs(url.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.lstrip("/")) or "vouch",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": query.pop("host", None) or url.hostname or "",
        "PORT": str(url.port or query.pop("port", "")),
        "OPTIONS": {"options": "-c jit=off", **query},
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
