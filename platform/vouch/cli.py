"""``vouch``: checking sounds, the log and receipts from outside, and the API at a terminal. Needs no settings, no
database and (for files) no network.
"""

import argparse
import base64
import binascii
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cloning import trace_proof
from consent import licence_proofs, proofs
from foundation.audit import cose, cosignatures, export, mirror, notes, rebuild, spellings, tiles, verify
from retention import proofs as deletions
from vouch import published, statements, verifying, witnessing
from vouch.bundle import check as bundles
from vouch.client import commands as at_a_terminal
from vouch.desk import signing

PAGE = 500
"""Leaves per request when a log is read over HTTP."""

TIMEOUT = 30.0
"""Seconds a server has for one page."""

MAX_PAGE = 64 * 1024 * 1024
"""Bytes of one page of leaves that are read."""

KEY_VARIABLE = "VOUCH_API_KEY"
"""The environment variable with the API key for reading a log over HTTP: not an argument, which `ps` would show."""

INTACT, BROKEN, TROUBLE = 0, 1, 2
"""Exit codes: everything verified; something does not; the check could not be made."""


class Trouble(Exception):
    """The check could not be made."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = verifying.Parser(prog="vouch", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    log = commands.add_parser("verify-log", help="rebuild a whole log and compare it with its signed checkpoints")
    log.add_argument(
        "log",
        metavar="DIR_OR_URL",
        help=f"published tiles (folder or URL), an export_log folder, or .../api/v1 (key in ${KEY_VARIABLE})",
    )
    log.add_argument(
        "--witness", action="append", default=[], metavar="VKEY", help="a witness that must have cosigned; repeatable"
    )
    log.set_defaults(run=_verify_log)
    receipt = commands.add_parser(
        "verify-receipt", help="check one receipt: of a log entry, a licence, a consent, or the text of its QR code"
    )
    receipt.add_argument("file", type=Path)
    receipt.set_defaults(run=_verify_receipt)
    certificate = commands.add_parser(
        "verify-certificate", help="check a deletion certificate: the signature, and what the log says of it"
    )
    certificate.add_argument("file", type=Path)
    certificate.set_defaults(run=_verify_certificate)
    bundle = commands.add_parser(
        "verify-bundle", help="check an auditor's bundle (manage.py audit_bundle) and count its figures again"
    )
    bundle.add_argument("file", type=Path)
    bundle.add_argument("--witness", action="append", default=[], metavar="VKEY", help="must have cosigned; repeatable")
    bundle.set_defaults(run=_verify_bundle)
    report = commands.add_parser("verify-report", help="check a signed detection report (JSON) of a trace")
    report.add_argument("file", type=Path)
    report.set_defaults(run=_verify_report)
    statement = commands.add_parser(
        "verify-statement", help="compute an owner's statement again, to the cent", description=statements.__doc__
    )
    statements.add_arguments(statement)
    statement.set_defaults(run=statements.run)
    exported = commands.add_parser("verify-export", help="check a signed export (JSON) of the moderators' desk")
    exported.add_argument("file", type=Path)
    exported.set_defaults(run=_verify_export)
    for command in (log, receipt, certificate, bundle, report, statement, exported):
        command.add_argument("--public-key", required=True, metavar="HEX|FILE", help="the log's Ed25519 key")
    watch = commands.add_parser("witness", help="run a witness: cosign a log's checkpoints while it grows consistently")
    witnessing.add_arguments(watch)
    watch.set_defaults(run=lambda options, _: witnessing.serve(options), public_key=None)
    file = commands.add_parser(
        "verify", help="one verdict over every label of a sound file", description=verifying.__doc__
    )
    file.usage_code = verifying.USAGE
    verifying.add_arguments(file)
    file.set_defaults(run=lambda options, _: verifying.run(options), public_key=None)
    at_a_terminal.add(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options, None if options.public_key is None else _public_key(options.public_key)))
    except (Trouble, OSError, UnicodeDecodeError, export.BadExport, notes.BadNote) as error:
        sys.stderr.write(f"vouch: {error}\n")
        return TROUBLE


def _verify_log(options: argparse.Namespace, public_key: bytes) -> int:
    witnesses = [cosignatures.WitnessKey.parse(text) for text in options.witness]
    lines: list[str] = []
    try:
        if published.is_published(options.log):
            fetch = published.fetcher(options.log)
            signed = [published.checkpoint(fetch)]
            size = notes.verify(signed[0], public_key).size
            lines += mirror.higher(fetch, size)
            leaves = mirror.leaves(fetch, size)
        elif options.log.startswith(("https://", "http://")):
            leaves, signed = _from_server(options.log)
        else:
            leaves, signed = _from_folder(Path(options.log))
        report = rebuild.rebuild(leaves, signed, public_key)
        seen = {found.name for found in cosignatures.verified(signed[-1], witnesses)}
    except (notes.BadNote, tiles.BadTile) as error:
        sys.stdout.write(f"BROKEN: {error}\n")
        return BROKEN
    lines += [str(finding) for finding in report.findings]
    lines += [f"not cosigned by {witness.name}" for witness in witnesses if witness.name not in seen]
    for line in lines:
        sys.stdout.write(f"BROKEN: {line}\n")
    if not lines:
        cosigned = f", cosigned by {', '.join(sorted(seen))}" if seen else ""
        bodies = "" if report.bodies == report.size else f" ({report.bodies} with their bodies)"
        sys.stdout.write(
            f"INTACT: {report.size} leaves of {report.origin}{bodies} are what {report.checkpoints} signed "
            f"checkpoint(s) say{cosigned}.\n"
        )
    return BROKEN if lines else INTACT


def _verify_receipt(options: argparse.Namespace, public_key: bytes) -> int:
    with options.file.open("rb") as file:
        data = file.read(verify.MAX_RECEIPT + 1)
    try:
        said = proofs.described(data, public_key) or licence_proofs.described(data, public_key)
        if said is not None:
            sys.stdout.write(f"INTACT: {said}.\n")
            return INTACT
        leaf = _leaf_in(data, public_key)
    except (verify.InvalidReceipt, proofs.ReceiptInvalid) as error:
        sys.stdout.write(f"BROKEN: {error}\n")
        return BROKEN
    note = " (REHEARSAL)" if leaf.rehearsal else ""
    sys.stdout.write(
        f"INTACT: leaf {leaf.index} of {leaf.origin}{note}: {leaf.kind} {leaf.subject} by {leaf.actor} at {leaf.at}\n"
    )
    return INTACT


def _verify_certificate(options: argparse.Namespace, public_key: bytes) -> int:
    with options.file.open("rb") as file:
        data = file.read(deletions.MAX_CERTIFICATE + 1)
    try:
        statement = deletions.verify(deletions.load(data), public_key)
    except deletions.CertificateInvalid as error:
        sys.stdout.write(f"BROKEN: {error.detail}\n")
        return BROKEN
    first, *rest = deletions.described(statement)
    sys.stdout.write("\n  ".join([f"INTACT: {first}", *rest]) + "\n")
    return INTACT


def _leaf_in(data: bytes, public_key: bytes) -> verify.VerifiedLeaf:
    """The leaf that a receipt proves, in whichever of the three spellings it is."""
    if data[:1] == bytes([cose.FIRST_BYTE]):
        return cose.check(data, public_key)
    if data.startswith(spellings.HEADER.encode()):
        return verify.verify_receipt(spellings.from_tlog_proof(data), public_key)
    return verify.verify_receipt(verify.load_receipt(data), public_key)


def _verify_bundle(options: argparse.Namespace, public_key: bytes) -> int:
    witnesses = [cosignatures.WitnessKey.parse(text) for text in options.witness]
    report = bundles.check(options.file, public_key, witnesses)
    for finding in report.findings:
        sys.stdout.write(f"BROKEN: {finding}\n")
    if not report.intact:
        return BROKEN
    about = report.about
    cosigned = f", cosigned by {', '.join(report.cosigned)}" if report.cosigned else ""
    sys.stdout.write(json.dumps(report.figures, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.write(
        f"INTACT: {about['from']} to {about['to']} for {about['for']}: leaves {about['first']} to {about['end'] - 1} "
        f"of {report.origin} ({about['size']} leaves{cosigned}), none missing; {report.certificates} certificates "
        f"for {report.destroyed} destroyed recordings; the figures above were counted here.\n"
    )
    return INTACT


def _verify_report(options: argparse.Namespace, public_key: bytes) -> int:
    with options.file.open("rb") as file:
        data = file.read(trace_proof.MAX_BYTES + 1)
    try:
        if len(data) > trace_proof.MAX_BYTES:
            raise trace_proof.BadReport("it is too large to be one")
        statement = trace_proof.verified(json.loads(data), public_key)
    except (trace_proof.BadReport, ValueError, RecursionError) as error:
        sys.stdout.write(f"BROKEN: {error}\n")
        return BROKEN
    note = " (REHEARSAL)" if statement.get("rehearsal") else ""
    recording = statement.get("recording", {}).get("sha256")
    sys.stdout.write(
        f"INTACT: {statement.get('verdict')}{note}, recording {recording}, as of {statement.get('as_of')}\n"
    )
    return INTACT


def _verify_export(options: argparse.Namespace, public_key: bytes) -> int:
    with options.file.open("rb") as file:
        data = file.read(signing.MAX_BYTES + 1)
    try:
        if len(data) > signing.MAX_BYTES:
            raise signing.BadExport("it is too large to be one")
        statement = signing.verified(json.loads(data), public_key)
    except (signing.BadExport, ValueError, RecursionError) as error:
        sys.stdout.write(f"BROKEN: {error}\n")
        return BROKEN
    note = " (REHEARSAL)" if statement.get("rehearsal") else ""
    rows = len(statement.get("decisions", []))
    sys.stdout.write(f"INTACT: {rows} decisions of {statement.get('origin')}{note}, as of {statement.get('at')}\n")
    return INTACT


def _from_folder(folder: Path) -> tuple[Iterator[rebuild.ExportedLeaf], list[str]]:
    if not folder.is_dir():
        raise Trouble(f"{folder} is no folder.")
    return export.read_leaves(folder), list(export.read_checkpoints(folder))


def _from_server(url: str) -> tuple[Iterator[rebuild.ExportedLeaf], list[str]]:
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise Trouble(f"Set {KEY_VARIABLE} to an API key; with the scope audit:read the bodies are checked too.")
    import httpx

    return read_remote(
        httpx.Client(base_url=url.rstrip("/"), headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT)
    )


def read_remote(client: Any) -> tuple[Iterator[rebuild.ExportedLeaf], list[str]]:
    """The leaves up to the newest checkpoint, page by page, and that checkpoint. ``client``: an ``httpx.Client``."""
    note = _get(client, "/log/checkpoint").decode()

    def leaves() -> Iterator[rebuild.ExportedLeaf]:
        size = _size_of(note)
        for start in range(0, size, PAGE):
            yield from _page(_get(client, f"/log/leaves?from={start}&limit={min(PAGE, size - start)}"), start)

    return leaves(), [note]


def _page(body: bytes, start: int) -> Iterator[rebuild.ExportedLeaf]:
    try:
        rows = json.loads(body)["leaves"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise Trouble("The server's answer is no page of leaves.") from error
    for row in rows if isinstance(rows, list) else [None]:
        yield export.leaf_from(row if isinstance(row, dict) else {}, f"page from {start}")


def _get(client: Any, path: str) -> bytes:
    import httpx

    try:
        with client.stream("GET", path) as response:
            if response.status_code != httpx.codes.OK:
                raise Trouble(f"{path}: the server answered {response.status_code}.")
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_PAGE:
                    raise Trouble(f"{path}: the answer is too large.")
            return bytes(body)
    except httpx.HTTPError as error:
        raise Trouble(f"{path}: {error}") from error


def _size_of(note: str) -> int:
    """How many leaves to ask for; the note's signature is checked afterwards, with the leaves."""
    lines = note.split("\n", 2)
    if len(lines) < 3 or not re.fullmatch(r"[0-9]{1,19}", lines[1]):
        raise Trouble("The server's checkpoint is no checkpoint.")
    return int(lines[1])


def _public_key(text: str) -> bytes:
    """64 hexadecimal digits, or a file that holds them or the C2SP form (name+id+base64)."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        with Path(text).open("rb") as file:
            text = file.read(1024).decode("utf-8", "replace").strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    try:
        blob = base64.b64decode(text.split("+", 2)[-1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Trouble("That is no public key.") from error
    if len(blob) != 33 or blob[:1] != notes.ED25519:
        raise Trouble("That is no Ed25519 public key.")
    return blob[1:]


if __name__ == "__main__":
    raise SystemExit(main())
