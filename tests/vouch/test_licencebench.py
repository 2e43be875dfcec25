"""The bench of the licence audit runs against the tables as they are now, and the audit finds what it hid."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.enable_socket
def test_the_bench_fills_every_table_and_the_audit_finds_exactly_what_was_hidden():
    command = [sys.executable, "-m", "vouch.licencebench", "--events", "1000", "--licences", "50", "--voices", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)
    result = json.loads(done.stdout)
    assert (result["events"], result["found"]) == (1_000, {"unlicensed": 7})
