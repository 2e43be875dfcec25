"""What each layer of a file says: the sound, the metadata, the credential, the mark, the log, the status list.

Every look answers with a Layer: found or not, sound or not, and named findings. A *fault* is something that is wrong, a
*doubt* something that could not be checked, a *note* is neither. The verdict over all of them is `watermark.verdict`'s.
Pure: no Django, no database, no network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from foundation.audit import verify as receipts
from watermark import status as lists
from watermark.codec.detect import Detector
from watermark.codec.errors import UnmarkableAudio
from watermark.codec.grid import Wave
from watermark.labels import aigc, audible, manifest
from watermark.labels.profile import LabelProfile
from watermark.seal import REHEARSAL, SIGNATURE_ALGORITHM, canonical_json, payload_commitment

Weight = Literal["fault", "doubt", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found, by a stable code (``aigc.duplicate``) and in words."""

    code: str
    detail: str
    weight: Weight


@dataclass
class Layer:
    """``state``: ok, missing, bad or unchecked. ``facts`` are what it says about the output, by name."""

    name: str
    state: Literal["ok", "missing", "bad", "unchecked"] = "ok"
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether the layer is there at all, sound or not."""
        return self.state in ("ok", "bad")

    def fault(self, code: str, detail: str) -> None:
        self.findings.append(Finding(f"{self.name}.{code}", detail, "fault"))
        self.state = "bad"

    def doubt(self, code: str, detail: str) -> None:
        self.findings.append(Finding(f"{self.name}.{code}", detail, "doubt"))

    def note(self, code: str, detail: str) -> None:
        self.findings.append(Finding(f"{self.name}.{code}", detail, "note"))


@dataclass(frozen=True)
class Materials:
    """What the checker holds beside the file; everything may be missing, and then a layer stays unchecked.

    ``proof`` is {"provenance", "receipt"} as the API hands it out; keys are 32 raw bytes; ``roots`` PEM; ``issued`` the
    payloads that the mark's detector may name; ``status`` a signed status list.
    """

    sidecar: bytes | None = None
    proof: Mapping[str, Any] | None = None
    roots: str = ""
    log_key: bytes | None = None
    signer_key: bytes | None = None
    mark_key: bytes | None = None
    issued: Sequence[int] = ()
    status: bytes | None = None


def look_audible(heard: list[audible.Heard], profile: LabelProfile) -> Layer:
    """The labels that are heard."""
    layer = Layer("audible")
    if not heard:
        layer.state = "missing"
        return layer
    layer.facts = {"kinds": sorted({one.kind for one in heard})}
    if languages := sorted({one.language for one in heard if one.language}):
        layer.facts["language"] = languages[0] if len(languages) == 1 else languages
    wanted = [one for one in heard if one.kind in profile.accepts]
    if not wanted:
        layer.fault("wrong_kind", f"a {heard[0].kind} label, where {' or '.join(profile.accepts)} is asked for")
        return layer
    placed = [one for one in wanted if one.position in profile.accepts_positions]
    if not placed:
        layer.fault("wrong_place", f"at {wanted[0].start_s:.1f} s: not at the {' or '.join(profile.accepts_positions)}")
        return layer
    if not any(one.rate_is_legal for one in placed):
        layer.fault("wrong_rate", f"{placed[0].per_minute:.0f} words or characters a minute")
    return layer


def look_aigc(data: bytes, container: str) -> Layer:
    """The AIGC label in the metadata."""
    layer = Layer("aigc")
    try:
        found = aigc.inspect(data, container)
    except aigc.AigcError as error:
        layer.doubt("unreadable", str(error))
        layer.state = "unchecked"
        return layer
    if found is None:
        layer.state = "missing"
        return layer
    for code, detail in found.faults:
        layer.fault(code, detail)
    values = found.values
    if found.wrapped:
        layer.note("wrapped", "the label stands in a wrapper {'AIGC': ...}")
    if values:
        layer.facts = {"content_id": values.get("ProduceID"), "producer": values.get("ContentProducer")}
        if aigc.PROVIDER_CODE.fullmatch(str(values.get("ContentProducer"))):
            layer.facts["rehearsal"] = values.get("ReservedCode1") == REHEARSAL
        else:
            layer.note("foreign", f"the producer is no provider code: {values.get('ContentProducer')!r}")
        if values.get("ContentPropagator") != values.get("ContentProducer"):
            layer.note("propagated", "a distributor has filled in its own values")
    return layer


def look_c2pa(data: bytes, container: str, materials: Materials) -> Layer:
    """The content credential, inside the file or beside it."""
    layer = Layer("c2pa")
    sidecar = materials.sidecar
    if sidecar is None and container in manifest.SIDECAR_ONLY and materials.proof:
        try:
            sidecar = base64.b64decode(_at(materials.proof, "provenance", "c2pa") or "", validate=True) or None
        except (binascii.Error, TypeError, ValueError):
            layer.fault("invalid", "the manifest in the proof is not base64")
            return layer
    try:
        said = manifest.read(data, container, roots=materials.roots, sidecar=sidecar)
    except manifest.ManifestError as error:
        layer.doubt("roots", str(error))
        layer.state = "unchecked"
        return layer
    if said is None:
        layer.state = "missing"
        return layer
    if not said.intact:
        layer.fault("invalid", ", ".join(said.failures) or said.state)
        return layer
    if said.state != "Trusted":
        if materials.roots:
            layer.fault("untrusted", f"signed by {said.signer or 'an unnamed signer'}, whom none of the roots trusts")
        else:
            layer.doubt("trust_unchecked", "no trusted roots were given")
    if manifest.SOURCE_TYPE not in said.source_types:
        layer.fault("not_generated", "it does not say that the sound was made by a model")
    if said.signed_at is None:
        layer.note("no_time_stamp", "no time-stamp authority has signed it")
    elif not said.time_trusted:
        layer.note("time_stamp_untrusted", "none of the roots trusts the time-stamp authority")
    if said.facts:
        layer.facts = {**_known(said.facts), "time_stamped": said.time_trusted}
    else:
        layer.note("foreign", f"made by {said.generator or 'an unnamed program'}, not by Vouch")
    return layer


def look_mark(wave: Wave, rate: int, start_s: float, materials: Materials) -> Layer:
    """The watermark, by the local detector, among the payloads the checker knows."""
    layer = Layer("watermark")
    if materials.mark_key is None or not materials.issued:
        layer.state = "unchecked"
        layer.note("unchecked", "no mark key or no issued payloads were given")
        return layer
    try:
        matches = Detector(materials.mark_key).search(wave[round(start_s * rate) :], rate, materials.issued)
    except UnmarkableAudio as error:
        layer.state = "unchecked"
        layer.doubt("unreadable", str(error))
        return layer
    if not matches:
        layer.state = "missing"
        return layer
    surest = matches[0]
    layer.facts = {"score": round(surest.score, 2), "false_positive_bound": surest.false_positive_bound}
    # One output that was cut, or has a label in its midst, shows its mark in several places: that is still one output.
    outputs = {match.payload for match in matches}
    if len(outputs) > 1:
        # Which of them the other layers should agree with cannot be told: the older one may be heard more surely.
        layer.fault("several", f"marks of {len(outputs)} outputs: made from an output, or cut together")
    else:
        layer.facts["payload_commitment"] = payload_commitment(surest.payload, materials.mark_key)
    return layer


def look_statement(data: bytes, materials: Materials) -> Layer:
    """The detached statement over the file's bytes."""
    layer = Layer("statement")
    provenance = _at(materials.proof or {}, "provenance")
    if not isinstance(provenance, dict):
        layer.state = "missing"
        return layer
    statement: Any = provenance.get("statement")
    try:
        message, signature = canonical_json(statement), bytes.fromhex(provenance["signature"])
    except (KeyError, TypeError, ValueError, RecursionError):
        layer.fault("malformed", "it is no statement with a signature")
        return layer
    if not isinstance(statement, dict) or provenance.get("algorithm") != SIGNATURE_ALGORITHM:
        layer.fault("malformed", f"it is no statement signed with {SIGNATURE_ALGORITHM}")
        return layer
    if materials.signer_key is None:
        layer.doubt("key_unknown", "no public key of the signer was given")
    else:
        try:
            Ed25519PublicKey.from_public_bytes(materials.signer_key).verify(signature, message)
        except InvalidSignature:
            layer.fault("signature", "the signature does not fit the statement")
            return layer
    layer.facts = {**_known(statement), "sha256": statement.get("sha256")}
    if statement.get("sha256") != hashlib.sha256(data).hexdigest():
        layer.fault("other_file", "it is about other bytes than this file's")
    return layer


def look_log(materials: Materials) -> Layer:
    """The log's receipt for this output."""
    layer = Layer("log")
    receipt = _at(materials.proof or {}, "receipt")
    if receipt is None:
        layer.state = "missing"
        return layer
    if materials.log_key is None:
        layer.state = "unchecked"
        layer.doubt("key_unknown", "no public key of the log was given")
        return layer
    try:
        leaf = receipts.verify_receipt(receipt, materials.log_key)
    except receipts.InvalidReceipt as error:
        if "not signed by this key" in str(error):
            layer.state = "unchecked"
            layer.doubt("key_unknown", "the receipt is of a log whose key is not the one given")
        else:
            layer.fault("invalid", str(error))
        return layer
    if leaf.kind != "output.sealed" or not leaf.subject.startswith("output:"):
        layer.fault("other_act", f"the entry is about {leaf.kind} {leaf.subject}")
        return layer
    layer.facts = {
        "content_id": leaf.subject.removeprefix("output:"),
        "rehearsal": leaf.rehearsal,
        **{key: leaf.data.get(key) for key in ("sha256", "payload_commitment")},
    }
    return layer


def look_status(place: object, materials: Materials, at: datetime) -> Layer:
    """Whether the output is revoked. ``place`` is what credential or statement say: {"list", "index"}."""
    layer = Layer("status")
    if materials.status is None:
        layer.state = "unchecked"
        layer.note("unchecked", "no status list was given")
        return layer
    if materials.signer_key is None:
        layer.state = "unchecked"
        layer.doubt("key_unknown", "no public key of the list's signer was given")
        return layer
    if not isinstance(place, Mapping) or not all(type(place.get(key)) is int for key in ("list", "index")):
        layer.state = "unchecked"
        layer.doubt("no_place", "neither credential nor statement name a place in a list")
        return layer
    try:
        found = lists.check(materials.status, materials.signer_key, number=place["list"])
        revoked = found.revoked(place["index"])
    except lists.BadStatusList as error:
        layer.state = "unchecked"
        layer.doubt("invalid", str(error))
        return layer
    if revoked:
        layer.fault("revoked", "the output has been withdrawn")
    elif not found.valid_from <= at < found.valid_until:
        layer.state = "unchecked"
        layer.doubt("stale", f"the list stood until {found.valid_until.isoformat()}")
    return layer


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of a credential or a statement, what other layers can be compared with."""
    names = ("content_id", "producer", "created", "rehearsal", "payload_commitment", "status")
    known = {name: facts.get(name) for name in names if name in facts}
    label = facts.get("label")
    if isinstance(label, Mapping):
        if isinstance(label.get("kinds"), list):
            known["kinds"] = sorted(map(str, label["kinds"]))
        if "language" in label:
            known["language"] = label["language"]
    return known


def _at(value: Mapping[str, Any], *path: str) -> Any:
    found: Any = value
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
