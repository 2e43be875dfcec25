"""``vouch witness``: an independent witness as one small HTTP server. No settings, no database.

It listens on the loopback address unless told otherwise; TLS is the business of the proxy in front of it.
"""

import argparse
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation.audit import cosignatures, notes
from foundation.audit.witness import MAX_REQUEST, Answer, Memory, Witness

PATH: Final = "/add-checkpoint"
READ_SECONDS: Final = 10
"""Seconds a client has to send its request."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--name", required=True, help="this witness's name, as in witness.example/w1")
    parser.add_argument("--key", required=True, type=Path, help="32 raw bytes of Ed25519, 0600; made when not there")
    parser.add_argument("--memory", required=True, type=Path, help="a folder for what was seen; never lose it")
    parser.add_argument("--log", required=True, action="append", metavar="VKEY", help="a log's key: name+id+base64")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8600)


def build(options: argparse.Namespace) -> Witness:
    """The witness that the options describe. Raises notes.BadNote, OSError."""
    logs = dict(log_key(text) for text in options.log)
    return Witness(
        name=options.name,
        private_key=_private_key(options.key),
        logs=logs,
        memory=Memory(options.memory),
        clock=time.time,
    )


def serve(options: argparse.Namespace) -> int:
    """Answers until it is interrupted."""
    witness = build(options)
    public = Ed25519PrivateKey.from_private_bytes(witness.private_key).public_key().public_bytes_raw()
    with server(witness, options.host, options.port) as running:
        sys.stdout.write(
            f"{cosignatures.WitnessKey(witness.name, public).verifier_key}\n"
            f"Listening on http://{options.host}:{running.server_port} for {', '.join(witness.logs)}\n"
        )
        sys.stdout.flush()
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """The server, bound and not yet running."""

    class Handler(BaseHTTPRequestHandler):
        timeout = READ_SECONDS
        server_version = "vouch-witness"
        sys_version = ""

        def do_POST(self) -> None:
            """add-checkpoint, and nothing else."""
            length = self.headers.get("Content-Length", "")
            if self.path != PATH:
                answer = Answer(404, "Only POST /add-checkpoint.\n")
            elif not length.isascii() or not length.isdigit() or int(length) > MAX_REQUEST:
                answer = Answer(413, "A Content-Length of at most 32 KiB is needed.\n")
            else:
                answer = witness.add_checkpoint(self.rfile.read(int(length)))
            body = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silent: what was cosigned stands in the memory."""

    return ThreadingHTTPServer((host, port), Handler)


def log_key(text: str) -> tuple[str, bytes]:
    """(origin, public key) from a log's verifier key. Raises notes.BadNote."""
    name, _, _ = text.partition("+")
    return name, notes.public_key_of(text)


def _private_key(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        made = Ed25519PrivateKey.generate().private_bytes_raw()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        return made
    with os.fdopen(handle, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise OSError(f"{path} can be read by others: chmod 600")
        found = file.read(33)
    if len(found) != 32:
        raise OSError(f"{path} is no Ed25519 key of 32 raw bytes")
    return found
