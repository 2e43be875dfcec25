"""``make serve``: the system, left running, with accounts to try it. Ctrl-C stops it."""

import argparse
import secrets
import sys
import time
from pathlib import Path

from vouch.runtime import system as systems

ROLES = ("member", "moderator", "senior", "auditor", "operator")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--var", type=Path, default=Path("var/serve"))
    options = parser.parse_args()
    systems.stop_on_signal()
    say = sys.stdout.write
    say("Starting PostgreSQL, Redis, the web server and the workers …\n")
    system = systems.start(options.var.resolve(), keep_data=True, port=options.port, VOUCH_REHEARSAL="1")
    try:
        accounts = _accounts(system)
        say(f"\nVouch is running at {system.address}   (API page: {system.address}/api/v1/docs)\n")
        say("It runs in rehearsal: synthetic speakers may consent, nothing can be sold.\n\nSign in with:\n")
        for role, (email, password) in accounts.items():
            say(f"  {role:<10} {email:<22} {password}\n")
        say(f"\nData and logs: {system.var}. Stop with Ctrl-C.\n")
        sys.stdout.flush()
        while True:
            system.check()
            time.sleep(1)
    except KeyboardInterrupt:
        say("\nStopping …\n")
        return 0
    finally:
        system.stop()


def _accounts(system: systems.System) -> dict[str, tuple[str, str]]:
    """One account a role, made on the first start; the passwords are kept in a 0600 file under ``var``."""
    path = system.var / "accounts"
    if not path.exists():
        path.touch(0o600)
        lines = []
        for role in ROLES:
            password = secrets.token_urlsafe(12)
            email = f"{role}@vouch.local"
            system.manage("create_person", email, "--name", role.title(), "--role", role, VOUCH_NEW_PASSWORD=password)
            lines.append(f"{role} {email} {password}")
        path.write_text("\n".join(lines) + "\n")
    rows = (line.split(" ") for line in path.read_text().splitlines())
    return {role: (email, password) for role, email, password in rows}


if __name__ == "__main__":
    raise SystemExit(main())
