"""Fixtures that every room's tests share."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.client import Api
from tests.tools.long_tests import LIST, is_long

# A busy machine makes examples slowly. That is no finding about the code; speed is measured by `make bench`.
settings.register_profile("vouch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vouch")

_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests are marked here, from the list that measuring them wrote."""
    listed = frozenset(LIST.read_text("utf-8").splitlines())
    for item in items:
        if is_long(item.nodeid, listed):
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session", autouse=True)
def keys() -> None:
    """The platform's key files, made once for the run."""
    from django.core.management import call_command

    call_command("make_keys", verbosity=0)


@pytest.fixture(autouse=True)
def clock_at_rest() -> Iterator[None]:
    """A test that moves the clock must not move it, nor the vault's memory of it, for the next one."""
    from pathlib import Path

    from django.conf import settings

    yield
    for name in ("rehearsal-clock", "marks/clock"):
        (Path(settings.VOUCH_VAR) / name).unlink(missing_ok=True)


@pytest.fixture(scope="session", autouse=True)
def tables_can_be_emptied() -> Iterator[None]:
    """Tests that really commit are cleaned up by emptying every table, which the log refuses: its triggers sleep for
    that alone. Only tables that hold something are touched, by DELETE: TRUNCATE of all takes many times as long."""
    from django.db import connection, transaction
    from django.db.backends.postgresql.operations import DatabaseOperations
    from psycopg.sql import SQL, Identifier

    def sql_flush(self: Any, style: Any, tables: list[str], *, reset_sequences: bool = False, **_: Any) -> list[str]:
        assert not reset_sequences, "sequences go on counting here"
        return list(tables)

    def execute_sql_flush(self: Any, tables: list[str]) -> None:
        filled = SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(SQL(" UNION ALL ").join(filled.format(one, Identifier(one)) for one in tables))
            found = [Identifier(row[0]) for row in cursor.fetchall()]
            for table in found:
                cursor.execute(SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table))
            for table in found:
                cursor.execute(SQL("DELETE FROM {}").format(table))
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # an altered table must not have rows left to check
            for table in found:
                cursor.execute(SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(table))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        patch.setattr(DatabaseOperations, "execute_sql_flush", execute_sql_flush)
        yield


@pytest.fixture(autouse=True)
def recorded_leaves_show_at_once(request: pytest.FixtureRequest, _django_db_marker: None) -> None:
    """A test that never commits would never see a recorded event's leaf: there the deferred trigger fires at once."""
    from django.db import connection

    if "db" in request.fixturenames:
        request.getfixturevalue("db")
    if connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS audit_record_placed IMMEDIATE")


@pytest.fixture
def person(db: None) -> Callable[..., Any]:
    """``person(role="member")`` → a saved Person."""
    from foundation.identity.models import Person

    def make(role: str = "member", **fields: Any) -> Any:
        number = next(_numbers)
        made = Person(email=f"p{number}@example.org", display_name=f"Person {number}", role=role, **fields)
        made.set_unusable_password()
        made.save()
        return made

    return make


@pytest.fixture
def api(db: None) -> Callable[..., Api]:
    """``api(person, scopes=None)`` → a client with a key of that person; ``api(None)`` is anonymous."""
    from foundation.identity import services
    from foundation.identity.actors import Actor

    def make(person: Any, scopes: Any = None) -> Api:
        if person is None:
            return Api(None)
        _, key = services.issue_api_key(actor=Actor.system("test"), person=person, name="test", scopes=scopes)
        return Api(key)

    return make
