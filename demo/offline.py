"""``vouch verify`` as an outsider and as the operator would run it: files in a folder, no database, no address."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from demo.client import ApiProblem, Client
from vouch.runtime.system import System

ERASURE_SECONDS = 60.0


def lay_out(system: System, owner: Client, output: str, file: Path) -> Path:
    """Puts the proof beside ``file`` and returns a folder with the public keys, the mark's key and the issued marks."""
    proof = owner.get(f"outputs/{output}/proof").body
    file.with_name(file.name + ".proof.json").write_text(json.dumps(proof))
    published = owner.get("provenance/keys")
    folder = system.var / "verify"
    folder.mkdir(exist_ok=True)
    (folder / "log.pub").write_text(str(published["log"]))
    (folder / "provenance.pub").write_text(str(published["provenance"]))
    (folder / "c2pa-root.pem").write_text(str(published["c2pa_roots"]))
    keys = system.env.get("VOUCH_KEYS") or Path(system.env.get("VOUCH_VAR") or system.var) / "keys"
    shutil.copy(Path(keys) / "mark.key", folder)
    (folder / "marks").write_text(system.manage("export_marks"))
    return folder


def verdict(file: Path, folder: Path, profile: str) -> dict[str, Any]:
    """The report of ``vouch verify FILE --json``."""
    command = [sys.executable, "-m", "vouch.cli", "verify", str(file), "--profile", profile, "--keys", str(folder)]
    done = subprocess.run(
        [*command, "--marks", str(folder / "marks"), "--json"],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def summary(report: dict[str, Any]) -> str:
    """``compliant``, or the verdict with the codes of its faults and doubts."""
    findings = [finding for layer in report["layers"].values() for finding in layer["findings"]]
    codes = [finding["code"] for finding in findings if finding["weight"] != "note"]
    return " ".join([report["verdict"], *codes])


def certificate(owner: Client, path: str) -> dict[str, Any]:
    """The deletion certificate of the item at ``path``. The key is erased right after the destruction is committed, so
    it may be asked for a moment too early. Raises ApiProblem."""
    until = time.monotonic() + ERASURE_SECONDS
    while (answer := owner.get(f"{path}/certificate")).code == "not_erased" and time.monotonic() < until:
        time.sleep(0.3)
    if answer.status >= 400:
        raise ApiProblem(answer)
    return dict(answer.body)
