"""One verdict over everything a file says of itself, and whether its layers agree.

``compliant``: everything the profile requires is there, was checked, and agrees. ``noncompliant``: something required
is missing, something present is wrong, revoked, or two layers say different things. ``not_found``: no label of any
kind. ``inconclusive``: nothing is wrong, but something could not be checked; it never counts as a yes.
Pure: no Django, no database, no network.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from watermark import evidence
from watermark.evidence import Finding, Layer, Materials
from watermark.labels import audible, encode
from watermark.labels.profile import LabelProfile

Verdict = Literal["compliant", "noncompliant", "not_found", "inconclusive"]

#: Exit codes of `vouch verify`.
EXIT: dict[str, int] = {"compliant": 0, "noncompliant": 1, "not_found": 2, "inconclusive": 3}
#: Facts that several layers state and that must be one, with the layers' own names for them.
COMPARED = (
    "content_id", "producer", "created", "rehearsal", "payload_commitment", "status", "sha256", "kinds", "language",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """The verdict, the layers it rests on, and the facts on which they disagree."""

    verdict: Verdict
    profile: str
    container: str
    layers: tuple[Layer, ...]
    disagreements: tuple[Finding, ...]

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found, layer by layer."""
        return [*(finding for layer in self.layers for finding in layer.findings), *self.disagreements]

    @property
    def agree(self) -> bool:
        """Whether no two layers contradict each other."""
        return not self.disagreements

    def as_json(self) -> dict[str, Any]:
        """JSON-safe."""
        return {
            "verdict": self.verdict,
            "profile": self.profile,
            "container": self.container,
            "agree": self.agree,
            "layers": {layer.name: {key: value for key, value in asdict(layer).items() if key != "name"}
                       for layer in self.layers},
            "disagreements": [asdict(finding) for finding in self.disagreements],
        }  # fmt: skip


def judge(data: bytes, profile: LabelProfile, materials: Materials, at: datetime) -> Report:
    """Look at every layer of a file and judge it by ``profile``. Never raises for anything a file may hold."""
    file = Layer("file")
    try:
        container = encode.container_of(data)
    except encode.EncodingError as error:
        file.doubt("unknown_container", str(error))
        return Report("inconclusive", profile.name, "", (file,), ())
    heard = Layer("audible", state="unchecked")
    mark = Layer("watermark", state="unchecked")
    try:
        wave, rate = encode.decode(data, mix=True)
    except encode.EncodingError as error:
        file.doubt("unreadable", str(error))
    else:
        labels = audible.hear(wave, rate, profile)
        heard = evidence.look_audible(labels, profile)
        mark = evidence.look_mark(wave, rate, audible.end_of_start(labels), materials)
    written = evidence.look_aigc(data, container)
    credential = evidence.look_c2pa(data, container, materials)
    statement = evidence.look_statement(data, materials)
    log = evidence.look_log(materials)
    place = statement.facts.get("status") or credential.facts.get("status")
    status = evidence.look_status(place, materials, at)
    layers = (file, heard, written, credential, mark, statement, log, status)
    differences = tuple(_differences(layers))
    _require(profile, {layer.name: layer for layer in layers})
    return Report(_verdict(profile, layers, differences), profile.name, container, layers, differences)


def _require(profile: LabelProfile, layers: dict[str, Layer]) -> None:
    """Name what the profile asks for and the file lacks."""
    for name in profile.requires:
        if name == "time_stamp":
            credential = layers["c2pa"]
            if credential.found and not credential.facts.get("time_stamped"):
                credential.fault("time_stamp_missing", f"{profile.name} asks for a time-stamp by a trusted authority")
        elif layers[name].state == "missing":
            layers[name].findings.append(Finding(f"{name}.missing", f"{profile.name} asks for it", "fault"))
        elif layers[name].state == "unchecked":
            layers[name].doubt("required", f"{profile.name} asks for it, and it could not be checked")


def _differences(layers: tuple[Layer, ...]) -> list[Finding]:
    found = []
    for fact in COMPARED:
        said: dict[str, list[str]] = {}
        for layer in layers:
            if layer.facts.get(fact) is not None:
                said.setdefault(json.dumps(layer.facts[fact], sort_keys=True), []).append(layer.name)
        if len(said) > 1:
            words = "; ".join(f"{' and '.join(names)}: {value[:80]}" for value, names in said.items())
            found.append(Finding(f"agree.{fact}", words, "fault"))
    return found


def _verdict(profile: LabelProfile, layers: tuple[Layer, ...], differences: tuple[Finding, ...]) -> Verdict:
    labels = [layer for layer in layers if layer.name in ("audible", "aigc", "c2pa", "watermark")]
    findings = [finding for layer in layers for finding in layer.findings]
    if not any(layer.found for layer in labels):
        unread = any(layer.name == "file" and layer.findings for layer in layers)
        return "inconclusive" if unread else "not_found"
    if differences or any(finding.weight == "fault" for finding in findings):
        return "noncompliant"
    if any(finding.weight == "doubt" for finding in findings):
        return "inconclusive"
    return "compliant"
