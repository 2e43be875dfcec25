"""Content credentials (C2PA 2.2): signing a finished file, and reading what a file says of itself.

Signing is the last write: no byte may change after it. WAV, MP3, FLAC and M4A carry the manifest inside; for Ogg the
specification has no place (A.1), so the manifest is a file of its own beside the sound. The watermark is named by
``c2pa.watermarked.unbound``: no public soft-binding algorithm describes this mark, and a private one must not pose as
one (C2PA 9.3, 18.10). What is Vouch's own stands in one private assertion, FACTS.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from watermark.labels.encode import MEDIA_TYPES

#: Label of the private assertion that holds the facts about an output.
FACTS = "org.vouch.output"
ACTIONS = "c2pa.actions"
#: IPTC's word for what a model made from nothing but its training.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
#: Containers that the manifest cannot be put into.
SIDECAR_ONLY = ("opus",)
#: Longest manifest in bytes that is read.
MAX_SIDECAR = 4 * 1024 * 1024
SIDECAR_MEDIA_TYPE = "application/c2pa"


class ManifestError(ValueError):
    """The file cannot be signed, or the trusted roots cannot be used."""


@dataclass(frozen=True)
class Credential:
    """PEM texts of the private key, the chain (signer first) and the roots a checker trusts; the RFC 3161 time-stamp
    authority's address or None."""

    private_key: str
    chain: str
    roots: str
    time_stamp_url: str | None = None


@dataclass(frozen=True)
class Signed:
    """The signed file; ``sidecar`` holds the manifest where the container cannot."""

    data: bytes
    sidecar: bytes | None


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, and how far it can be believed.

    ``state`` is the library's: Trusted, Valid (intact, but its certificate leads to no trusted root) or Invalid;
    ``failures`` are C2PA's codes. ``facts`` is empty for files that are not Vouch's. ``signed_at`` is what a time-stamp
    authority says (RFC 3161); it proves something only when ``time_trusted``: its root is among the trusted ones.
    """

    state: str
    failures: tuple[str, ...]
    source_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    generator: str = ""
    signer: str = ""
    signed_at: str | None = None
    time_trusted: bool = False

    @property
    def intact(self) -> bool:
        """Whether nothing was changed since it was signed, by whomever."""
        return self.state in ("Trusted", "Valid")


def sign(
    data: bytes, container: str, facts: Mapping[str, Any], credential: Credential, *, generator: str, version: str
) -> Signed:
    """``data`` with its manifest. ``facts`` must hold content_id and created (RFC 3339). Raises ManifestError."""
    definition = {
        "claim_generator_info": [{"name": generator, "version": version}],
        "title": facts["content_id"],
        "format": MEDIA_TYPES[container],
        "assertions": [
            {
                "label": f"{ACTIONS}.v2",
                "data": {
                    "actions": [
                        {"action": "c2pa.created", "when": facts["created"], "digitalSourceType": SOURCE_TYPE,
                         "softwareAgent": {"name": generator, "version": version}},
                        {"action": "c2pa.watermarked.unbound"},
                    ]
                },
            },
            {"label": FACTS, "data": dict(facts)},
        ],
    }  # fmt: skip
    out = io.BytesIO()
    try:
        info = c2pa.C2paSignerInfo(
            _algorithm(credential.private_key),
            credential.chain.encode(),
            credential.private_key.encode(),
            credential.time_stamp_url.encode() if credential.time_stamp_url else None,
        )
        with (
            c2pa.Signer.from_info(info) as signer,
            _context(credential.roots) as context,
            c2pa.Builder.from_json(definition, context) as builder,
        ):
            if container in SIDECAR_ONLY:
                builder.set_no_embed()
            store = builder.sign(signer, MEDIA_TYPES[container], io.BytesIO(data), out)
    except c2pa.C2paError as error:
        raise ManifestError(f"the manifest cannot be made: {error}") from error
    if container not in SIDECAR_ONLY:
        return Signed(out.getvalue(), None)
    if out.getvalue() != data:
        raise ManifestError("the sound was changed although the manifest stays outside")
    return Signed(data, store)


def read(data: bytes, container: str, *, roots: str = "", sidecar: bytes | None = None) -> Manifest | None:
    """What the manifest in ``data``, or the one in ``sidecar``, says of ``data``; None when there is none.

    ``roots`` (PEM) are the trusted roots; without any, nothing is Trusted. Reads no network.
    Raises ManifestError when they are no certificates.
    """
    if sidecar is None and container in SIDECAR_ONLY:
        return None
    if sidecar is not None and len(sidecar) > MAX_SIDECAR:
        return Manifest("Invalid", ("sidecar.too_large",))
    try:
        with (
            _context(roots) as context,
            c2pa.Reader(MEDIA_TYPES[container], io.BytesIO(data), sidecar, context=context) as reader,
        ):
            return _said(reader)
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        return Manifest("Invalid", (f"unreadable: {str(error)[:200]}",))


def _said(reader: c2pa.Reader) -> Manifest:
    active: Any = reader.get_active_manifest() or {}
    results: Any = (reader.get_validation_results() or {}).get("activeManifest", {})
    passed = {str(one.get("code")) for one in results.get("success", [])}
    failures = tuple(dict.fromkeys(str(one.get("code")) for one in results.get("failure", [])))
    actions: list[dict[str, Any]] = []
    facts: Mapping[str, Any] = {}
    for assertion in active.get("assertions", []):
        content = assertion.get("data")
        if not isinstance(content, dict):
            continue
        if str(assertion.get("label", "")).startswith(ACTIONS):
            actions += [one for one in content.get("actions", []) if isinstance(one, dict)]
        elif assertion.get("label") == FACTS:
            facts = content
    signature = active.get("signature_info") or {}
    generators = active.get("claim_generator_info") or [{}]
    return Manifest(
        state=str(reader.get_validation_state()),
        failures=failures,
        source_types=tuple(str(one["digitalSourceType"]) for one in actions if "digitalSourceType" in one),
        actions=tuple(str(one.get("action")) for one in actions),
        facts=facts,
        generator=f"{generators[0].get('name', '')} {generators[0].get('version', '')}".strip(),
        signer=str(signature.get("common_name") or signature.get("issuer") or ""),
        signed_at=signature.get("time"),
        time_trusted="timeStamp.trusted" in passed,
    )


def _context(roots: str) -> c2pa.Context:
    """Raises ManifestError when ``roots`` holds no certificates: the library would call every file invalid."""
    settings: dict[str, Any] = {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
    }
    if roots:
        try:
            x509.load_pem_x509_certificates(roots.encode())
        except ValueError as error:
            raise ManifestError("the trusted roots are no PEM certificates") from error
        settings["trust"] = {"user_anchors": roots}
    return c2pa.Context.from_json(json.dumps(settings))


def _algorithm(private_key: str) -> bytes:
    """C2PA's name for the signature that this key makes (13.2). Raises ManifestError."""
    try:
        key = serialization.load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ManifestError("the private key is no PEM key") from error
    if isinstance(key, ec.EllipticCurvePrivateKey):
        names = {"secp256r1": b"es256", "secp384r1": b"es384", "secp521r1": b"es512"}
        if key.curve.name in names:
            return names[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return b"ps256"
    raise ManifestError("C2PA has no signature for such a private key")
