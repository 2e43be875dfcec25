"""Settings for tools that need Django configured but no server: mypy, the migration check, the schema."""

import os

os.environ.setdefault("VOUCH_ENV", "development")
os.environ.setdefault("VOUCH_SECRET_KEY", "static-checks-only")
os.environ.setdefault("DATABASE_URL", "postgresql://nobody@/none?host=/nonexistent")
os.environ.setdefault("REDIS_URL", "redis://localhost:1/0")

from vouch.settings import *  # noqa: F403
