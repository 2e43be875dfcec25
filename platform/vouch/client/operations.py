"""The operations, each once, for both drivers. Paths and fields: ``/api/v1/docs``."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from vouch.client.calls import Call, Operation, Problem, ask, every, fetch, send, until_done
from vouch.client.things import Challenge, Examination, Hit, Link, Mask, Recording, Trace, Voice, Webhook

ENDED = frozenset({"succeeded", "failed", "refused", "cancelled"})
HELD = ENDED | {"held"}
#: Most bytes of one piece of a live answer: the server's own bound.
PIECE = 64 * 1024
#: Bytes of one piece of an upload; the server takes up to 1 MiB.
UPLOAD_PIECE = 512 * 1024


def whoami() -> Operation[dict[str, Any]]:
    """The account and the scopes of the key."""
    said: dict[str, Any] = yield from fetch("me")
    return said


def voices() -> Operation[list[Voice]]:
    """One's own voices, newest first."""
    said = yield from every("voices")
    return [Voice.of(one) for one in said]


def usable_voices() -> Operation[list[Voice]]:
    """The ready voices that one may speak in: one's own and those of one's licences, newest first."""
    said = yield from every("voices/usable")
    return [Voice(one["id"], one["name"], one["language"], "ready", "") for one in said]


def voice_named(name: str) -> Operation[Voice]:
    """The voice of that name or id, among those that one may speak in. An id may also be of a voice of one's own that
    is not ready. Raises Problem ``not_found`` or ``voice_ambiguous``."""
    usable = yield from usable_voices()
    found = [one for one in usable if one.id == name or one.name.casefold() == name.casefold()]
    if not found and _is_id(name):
        return Voice.of((yield from fetch(f"voices/{name}")))
    if len(found) != 1:
        code = "voice_ambiguous" if found else "not_found"
        raise Problem(0, {"code": code, "detail": f"{len(found)} ready voices that you may use are called {name!r}."})
    return found[0]


def speak(
    voice: str,
    text: str,
    *,
    language: str = "",
    container: str = "mp3",
    seed: int | None = None,
    manner: Mapping[str, float] | None = None,
    seconds: float = 300.0,
    **more: Any,
) -> Operation[Recording]:
    """``text`` in the voice of that id, or of that name among those one may use; waits at most ``seconds``.

    ``more``: further fields of ``POST /api/v1/speech``. Raises Problem: what the gate refuses, ``held`` when a person
    must look first, or the job's own code.
    """
    if not language or not _is_id(voice):
        found = yield from voice_named(voice)
        voice, language = found.id, language or found.language
    fields: dict[str, Any] = {"voice": voice, "text": text, "language": language, "container": container, **more}
    if seed is not None:
        fields["seed"] = seed
    if manner:
        fields["manner"] = dict(manner)
    asked = yield from send("speech", fields, once=secrets.token_hex(16))
    done = yield from until_done(f"speech/{asked['id']}", HELD, seconds=seconds)
    if done["state"] != "succeeded":
        detail = done["error_detail"] or f"The request is {done['state']}."
        raise Problem(0, {"code": done["error_code"] or done["state"], "detail": detail})
    recording: Recording = yield from download(done["output"])
    return recording


def to_stream(
    voice: str,
    text: str,
    *,
    language: str = "",
    container: str = "wav",
    seed: int | None = None,
    manner: Mapping[str, float] | None = None,
    **more: Any,
) -> Operation[Call]:
    """The call that opens a stream of ``text`` in the voice: see ``Vouch.stream``."""
    if not language or not _is_id(voice):
        found = yield from voice_named(voice)
        voice, language = found.id, language or found.language
    fields: dict[str, Any] = {"text": text, "language": language, "container": container, **more}
    if seed is not None:
        fields["seed"] = seed
    if manner:
        fields["manner"] = dict(manner)
    return Call("POST", f"voices/{voice}/speech/stream", json=fields)


def download(output: str) -> Operation[Recording]:
    """A finished recording. Raises Problem ``output_revoked``."""
    about = yield from fetch(f"outputs/{output}")
    sound = yield from ask(Call("GET", f"outputs/{output}/audio"))
    return Recording(
        about["id"], sound.content, about["media_type"], about["seconds"], about["label_seconds"], about["sha256"]
    )


def link(output: str, *, seconds: int = 3600) -> Operation[Link]:
    """An address of a recording that works without a key for ``seconds`` (a minute to a week): for a page or a CDN.
    Raises Problem ``output_revoked``."""
    said = yield from fetch(f"outputs/{output}/link", seconds=str(seconds))
    return Link(said["url"], said["until"])


def proof(output: str) -> Operation[dict[str, Any]]:
    """The signed statement about a recording, and the log's receipt: what ``vouch verify`` checks offline."""
    said: dict[str, Any] = yield from fetch(f"outputs/{output}/proof")
    return said


def batch(
    voice: str, table: str, *, kind: str = "files", written: str = "csv", seconds: float = 3600.0, **more: Any
) -> Operation[bytes]:
    """A table of lines in the voice of that id or name: the ZIP of its recordings, their receipts and a manifest.

    ``written``: as csv, text or srt; ``kind``: files, or narration for one recording. ``more``: further fields of
    ``POST /api/v1/batches``. Lines that failed are missing and named in the manifest. Raises Problem, TookTooLong.
    """
    language = more.pop("language", "")
    if not language or not _is_id(voice):
        found = yield from voice_named(voice)
        voice, language = found.id, language or found.language
    fields = {"voice": voice, "content": table, "kind": kind, "format": written, "language": language, **more}
    made = yield from send("batches", fields, once=secrets.token_hex(16))
    yield from until_done(f"batches/{made['id']}", frozenset({"done", "cancelled"}), seconds=seconds, every=2.0)
    answer = yield from ask(Call("GET", f"batches/{made['id']}/zip"))
    return answer.content


def mask(voice: str, name: str, *, seconds: float = 600.0, **more: Any) -> Operation[Mask]:
    """A mask of one's own voice, when it was found and measured. Raises Problem with the job's own code."""
    if not _is_id(voice):
        voice = (yield from voice_named(voice)).id
    made = yield from send(f"voices/{voice}/masks", {"name": name, **more}, once=secrets.token_hex(16))
    ended = frozenset({"ready", "failed", "ended"})
    found = yield from until_done(f"masks/{made['id']}", ended, seconds=seconds, every=2.0)
    if found["state"] != "ready":
        raise Problem(0, {"code": found["error_code"] or found["state"], "detail": found["error_detail"]})
    return Mask.of(found)


def add_webhook(url: str, kinds: Sequence[str]) -> Operation[Webhook]:
    """Has ``url`` told of events of these kinds. Keep the secret: it is shown this once."""
    said = yield from send("webhooks", {"url": url, "kinds": list(kinds)}, once=secrets.token_hex(16))
    return Webhook(said["id"], said["url"], tuple(said["kinds"]), said["secret"])


def trace(data: bytes, *, seconds: float = 300.0) -> Operation[Trace]:
    """Where a recording comes from. Needs no key. Raises Problem when it cannot be read."""
    answer = yield from ask(Call("POST", "trace", content=data, once=secrets.token_hex(16)))
    started = answer.body()
    found = yield from until_done(f"trace/{started['id']}", frozenset({"done", "failed"}), seconds=seconds)
    if found["state"] == "failed":
        raise Problem(0, {"code": found["error_code"], "detail": found["error_detail"]})
    return Trace(found["id"], found["verdict"], tuple(Hit.of(hit) for hit in found["hits"]))


# -- from a challenge to a voice --------------------------------------------------------------------------------------


def open_challenge() -> Operation[Challenge]:
    """New words, shown only here: they are to be read aloud at once, while the sound is being sent."""
    said = yield from send("challenges")
    return Challenge(said["id"], tuple(said["words"]), said["expires_at"])


def send_piece(challenge: str, number: int, pcm: bytes) -> Operation[None]:
    """Piece ``number``, from 0, of the live answer as it is spoken: mono, 16 bits, little-endian, 16 kHz, at most
    64 KiB."""
    yield from ask(Call("PUT", f"challenges/{challenge}/chunks/{number}", content=pcm))


def finish_challenge(challenge: str, *, seconds: float = 120.0) -> Operation[Examination]:
    """Ends the answer and waits for what its examination found."""
    said = yield from send(f"challenges/{challenge}/answer")
    examination: Examination = yield from examined(said["examination"], seconds=seconds)
    return examination


def upload(
    challenge: str, transcript: str, data: bytes, *, language: str = "en", seconds: float = 120.0
) -> Operation[tuple[str, Examination]]:
    """A recording of training speech, which must be the challenged person's: its id, and what was found. It goes up in
    pieces: a connection that breaks costs one of them."""
    fields = {"challenge": challenge, "language": language, "transcript": transcript}
    made = yield from send("recordings", fields, once=secrets.token_hex(16))
    examination: Examination = yield from send_content(made["id"], data, seconds=seconds)
    return made["id"], examination


def send_content(recording: str, data: bytes, *, seconds: float = 120.0) -> Operation[Examination]:
    """The content of an announced recording, from where the server stands: after Unreachable, or in another process,
    called again with the same ``data`` it goes on. Then waits for what was found."""
    path = f"recordings/{recording}/upload"
    at: int = (yield from fetch(path))["offset"]
    while at < len(data):
        piece = data[at : at + UPLOAD_PIECE]
        try:
            answer = yield from ask(Call("PATCH", path, content=piece, offset=at))
            at = answer.body()["offset"]
        except Problem as problem:
            if problem.code != "wrong_offset":
                raise
            at = problem.said["offset"]  # a piece whose answer was lost has arrived
    said = yield from send(path, {"sha256": hashlib.sha256(data).hexdigest()}, once=secrets.token_hex(16))
    found: Examination = yield from examined(said["examination"], seconds=seconds)
    return found


def examined(examination: str, *, seconds: float = 120.0) -> Operation[Examination]:
    """Waits for an examination. One that a moderator must look at first is ``held`` and has no verdict yet."""
    states = frozenset({"done", "failed", "held"})
    found = yield from until_done(f"examinations/{examination}", states, seconds=seconds)
    advice = found["advice"].get("en", "") if found["advice"] else ""
    return Examination(found["id"], found["verdict"] or found["state"], found["reason"], advice)


def consent_texts() -> Operation[Any]:
    """The texts on offer: show one before calling consent()."""
    said = yield from fetch("consent-texts")
    return said


def consent(
    challenge: str,
    recordings: Sequence[str],
    *,
    text_version: str,
    uses: Mapping[str, bool],
    languages: Sequence[str] = ("en",),
    term_days: int = 365,
    territory: str = "worldwide",
    biometric_release: bool,
    **more: Any,
) -> Operation[dict[str, Any]]:
    """Gives consent: the person must have read the text ``text_version`` and, apart from it, the biometric release."""
    fields = {
        "challenge": challenge, "recordings": list(recordings), "uses": dict(uses), "languages": list(languages),
        "term_days": term_days, "territory": territory, "text_version": text_version,
        "biometric_release": biometric_release, **more,
    }  # fmt: skip
    said: dict[str, Any] = yield from send("consents", fields, once=secrets.token_hex(16))
    return said


def withdraw(consent: str) -> Operation[dict[str, Any]]:
    """Withdraws a consent: everything under it ends now."""
    said: dict[str, Any] = yield from send(f"consents/{consent}/withdraw", once=secrets.token_hex(16))
    return said


def train(consent: str, name: str, *, language: str = "en", seconds: float = 3600.0, **more: Any) -> Operation[Voice]:
    """A voice from a consent's recordings, when it is ready. ``more``: further fields of ``POST /api/v1/voices``."""
    fields = {"consent": consent, "name": name, "language": language, **more}
    made = yield from send("voices", fields, once=secrets.token_hex(16))
    job = yield from until_done(f"jobs/{made['job']}", ENDED, seconds=seconds, every=2.0)
    if job["state"] != "succeeded":
        raise Problem(0, {"code": job["error_code"] or job["state"], "detail": job["error_detail"]})
    said = yield from fetch(f"voices/{made['id']}")
    return Voice.of(said)


def _is_id(voice: str) -> bool:
    return len(voice) == 36 and voice.count("-") == 4
