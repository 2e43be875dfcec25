"""Checking an auditor's bundle with nothing but the log's public key: no database, no network, no Django. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from foundation.audit import archive, canonical, cosignatures, events, merkle, notes
from foundation.audit.archive import Archive, BadArchive
from retention import proofs
from vouch.bundle import content
from vouch.bundle.figures import Tally

MAX_FINDINGS: Final = 100

BAD: Final = (
    BadArchive, canonical.NotCanonical, merkle.MerkleError, notes.BadNote, proofs.CertificateInvalid,
    KeyError, TypeError, ValueError, AttributeError,
)  # fmt: skip
"""What a bundle can be wrong in. Each is one line for the reader, never a traceback."""


@dataclass(slots=True)
class Report:
    """``findings`` is empty when everything holds. ``figures`` are counted here, from the events."""

    origin: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    cosigned: list[str] = field(default_factory=list)
    certificates: int = 0
    destroyed: int = 0
    texts: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        return not self.findings

    def add(self, finding: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


def check(path: Path, public_key: bytes, witnesses: Sequence[cosignatures.WitnessKey] = ()) -> Report:
    """Everything a bundle claims, against the log's ``public_key`` (32 raw bytes) and the witnesses demanded.

    Raises OSError when the file cannot be read.
    """
    report = Report()
    with path.open("rb") as file:
        try:
            _check(Archive(file, public_key), public_key, witnesses, report)
        except BAD as error:
            report.add(f"{type(error).__name__}: {error}")
    return report


def _check(opened: Archive, public_key: bytes, witnesses: Sequence[cosignatures.WitnessKey], report: Report) -> None:
    names = [member.name for member in opened.members]
    between = names[len(content.HEAD) : -len(content.TAIL)]
    if tuple(names) != (*content.HEAD, *between, *content.TAIL):
        raise BadArchive(f"{archive.MANIFEST}: not the files of an audit bundle, in their order")
    head = {name: opened.read(name, content.MAX_FILE) for name in content.HEAD}
    report.origin, report.about = opened.origin, canonical.decode(head[content.ABOUT])
    if report.about["v"] != content.VERSION or report.about["origin"] != opened.origin:
        raise BadArchive(f"{content.ABOUT}: another version, or another log")
    note = head[content.CHECKPOINT].decode()
    checkpoint = notes.verify(note, public_key, origin=opened.origin)
    if checkpoint.size != report.about["size"]:
        raise BadArchive(f"{content.CHECKPOINT}: of {checkpoint.size} leaves, not of {report.about['size']}")
    report.cosigned = sorted(found.name for found in cosignatures.verified(note, witnesses))
    for witness in witnesses:
        if witness.name not in report.cosigned:
            report.add(f"{content.CHECKPOINT}: not cosigned by {witness.name}")
    for name in between:
        opened.read(name, content.MAX_FILE)
        report.texts.append(name)
    if canonical.decode(head[content.SCHEMAS]) != events.schemas():
        report.add(f"{content.SCHEMAS}: not the event schemas that this program knows")
    destroyed = _events(opened, checkpoint, canonical.decode(head[content.PROOF]), report)
    report.destroyed = len(destroyed)
    if report.figures != canonical.decode(head[content.FIGURES])["figures"]:
        report.add(f"{content.FIGURES}: the platform's figures are not those of the events")
    _certificates(opened, public_key, destroyed, report)
    opened.end()


def _events(
    opened: Archive, checkpoint: notes.SignedCheckpoint, proof: dict[str, Any], report: Report
) -> dict[int, bytes]:
    """Checks every leaf and counts; gives the bodies' hashes of those that destroyed a recording."""
    about, tally, destroyed = report.about, Tally(), dict[int, bytes]()
    since, until = (datetime.fromisoformat(about[key]) for key in ("from", "to"))

    def hashes() -> Iterator[bytes]:
        for place, line in enumerate(opened.lines(content.EVENTS, content.LONGEST[content.EVENTS])):
            row = canonical.decode(line)
            index = about["first"] + place
            if row["index"] != index or len(row) != 2:
                raise BadArchive(f"{content.EVENTS}: leaf {index} is not in its place")
            if "hash" in row:
                tally.hidden()
                yield bytes.fromhex(row["hash"])
                continue
            data = row["body"].encode()
            yield (hashed := merkle.leaf_hash(data))
            if not events.conforms(data):
                report.add(f"leaf {index}: not an event of a known kind and version with what it must state")
                continue
            body = canonical.decode(data)
            if since <= datetime.fromisoformat(body["at"]) < until:
                tally.add(body)
            if body["kind"] == "custody.destroyed":
                destroyed[index] = hashed

    merkle.verify_range(
        hashes(),
        first=about["first"], end=about["end"], size=checkpoint.size, root=checkpoint.root,
        left=[bytes.fromhex(step) for step in proof["left"]],
        right=[bytes.fromhex(step) for step in proof["right"]],
    )  # fmt: skip
    report.figures = tally.figures()
    return destroyed


def _certificates(opened: Archive, public_key: bytes, destroyed: dict[int, bytes], report: Report) -> None:
    """Each certificate must hold, be of a destruction among the events and no other than its own, and leave no key."""
    for number, line in enumerate(opened.lines(content.CERTIFICATES, content.LONGEST[content.CERTIFICATES]), 1):
        place = f"{content.CERTIFICATES} line {number}"
        try:
            certificate = canonical.decode(line)
            statement = proofs.verify(certificate, public_key, origin=opened.origin)
            body = certificate["receipt"]["leaf"]["body"].encode()
            if destroyed.pop(statement["leaf"], None) != merkle.leaf_hash(body):
                report.add(f"{place}: not the certificate of one of these destructions")
            if statement["keystore"]["holds_key"]:
                report.add(f"{place}: the key store still had the key of {statement['item']}")
            report.certificates += 1
        except BAD as error:
            report.add(f"{place}: {type(error).__name__}: {error}")
