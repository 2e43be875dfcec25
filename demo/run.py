"""``make demo``: the main job, played through the public API as a client would, refusals included.

Everything runs in rehearsal, because the speaker is a synthetic voice. Exit 0 only if every step did what it should.
"""

import secrets
import shutil
import sys
from pathlib import Path

from demo.report import Report
from demo.story import Story
from vouch.runtime import system as systems

VAR = Path("var/demo")


def main() -> int:
    systems.stop_on_signal()
    shutil.rmtree(VAR, ignore_errors=True)
    report = Report(VAR / "report.json")
    system = None
    try:
        with report.step("start the system", "PostgreSQL, Redis, web server and workers run") as step:
            system = systems.start(
                VAR.resolve(),
                keep_data=False,
                VOUCH_REHEARSAL="1",
                VOUCH_UNDO_SECONDS="2",
                VOUCH_SWEEP_SECONDS="2",
                VOUCH_CHECKPOINT_SECONDS="5",
                VOUCH_TRAINING_RECIPE="demo",
            )
            step.observed = "PostgreSQL, Redis, web server and workers run"
        staff = {role: staff_account(system, role) for role in ("moderator", "operator")}
        Story(system, report, staff).play()
    except Exception as error:  # noqa: BLE001 - whatever ends the story is printed, and the exit code says so
        print(f"\nThe story ended early: {type(error).__name__}: {error}", file=sys.stderr)
        if system is not None:
            print(f"The logs are in {system.var}.", file=sys.stderr)
        report.summary()
        return 1
    finally:
        if system is not None:
            system.stop()
    report.summary()
    return 0 if report.ok else 1


def staff_account(system: systems.System, role: str) -> str:
    """A staff account, made on the command line as an operator would make it; its API key."""
    password = secrets.token_urlsafe(12)
    return system.manage(
        "create_person", f"{role}@demo.example", "--name", role.title(), "--role", role, VOUCH_NEW_PASSWORD=password
    )


if __name__ == "__main__":
    raise SystemExit(main())
