"""The whole system for end-to-end tests: its own servers, web process and workers, started once a run."""

from collections.abc import Iterator

import pytest

from vouch.runtime import system as systems

PASSWORD = "e2e staff 42 pass"


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[systems.System]:
    home = tmp_path_factory.mktemp("live")
    (home / "tmp").mkdir()
    system = systems.start(
        home,
        keep_data=False,
        TMPDIR=str(home / "tmp"),
        VOUCH_REHEARSAL="1",
        VOUCH_UNDO_SECONDS="2",
        VOUCH_VAR=str(tmp_path_factory.getbasetemp() / "live-var"),
        VOUCH_SWEEP_SECONDS="1",
        VOUCH_CHECKPOINT_SECONDS="2",
        VOUCH_RECOVER_SECONDS="2",
        VOUCH_TRAINING_RECIPE="tiny",
        VOUCH_TRAINING_THREADS="2",
        DATABASE_URL="",
        REDIS_URL="",
        VOUCH_KEYS="",
        VOUCH_STORAGE="",
    )
    yield system
    system.stop()


@pytest.fixture(scope="session")
def staff(live: systems.System) -> dict[str, str]:
    """API keys of a moderator, an operator and an auditor."""
    return {
        role: live.manage(
            "create_person",
            f"{role}@e2e.example",
            "--name",
            role,
            "--role",
            role,
            VOUCH_NEW_PASSWORD=PASSWORD,
        )
        for role in ("moderator", "operator", "auditor")
    }
