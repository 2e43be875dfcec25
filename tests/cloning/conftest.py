"""Fixtures of this room's tests."""

from tests.cloning.streamed import script, working  # noqa: F401 - fixtures
