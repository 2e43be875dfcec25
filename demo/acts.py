"""What the story's people do through the API, each act in a line: register, read aloud, upload, speak, trace, check."""

import json
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from demo import offline, recordings
from demo.client import Answer, ApiProblem, Client
from demo.report import Report
from vouch.runtime.system import System

SPEAKER: Final = "slt"
"""The synthesiser's voice that plays the demo's speaker."""
TRAINING_SECONDS = 60.0
SENTENCES_A_RECORDING = 2
CHUNK_SECONDS = 1.0
RATE = 16_000
UNHURRIED = 1.15
"""How much slower than its habit the speaker reads the six words: three seconds of speech are needed."""
TERMINAL = {"succeeded", "failed", "refused", "cancelled"}


class Acts:
    """The people, the system they use and what later acts need to know of earlier ones."""

    speaker: Client
    customer: Client
    challenge: str
    answer_pcm: bytes
    voice: str
    output: str

    def __init__(self, system: System, report: Report, staff: dict[str, str]) -> None:
        self.system = system
        self.report = report
        self.moderator = Client(system.address, staff["moderator"])
        self.operator = Client(system.address, staff["operator"])
        self.public = Client(system.address)
        self.clients = [self.moderator, self.operator, self.public]
        self.recording_ids: list[str] = []

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def register(self, name: str, shown: str) -> Client:
        password = secrets.token_urlsafe(12)
        person = {"email": f"{name}-{uuid.uuid4().hex[:8]}@demo.example", "display_name": shown, "password": password}
        self.clients.append(Client(self.system.address, self.public.post("people", person)["key"]))
        return self.clients[-1]

    def _read_challenge(self) -> str:
        """Opens a challenge and reads its words aloud: the verdict."""
        opened = self.speaker.post("challenges")
        self.challenge = str(opened["id"])
        sound, _ = recordings.say(", ".join(opened["words"]) + ".", voice=SPEAKER, seed=1, stretch=UNHURRIED)
        self.answer_pcm = recordings.pcm16(sound)
        self._stream(self.challenge, self.answer_pcm, RATE)
        return self._examined(self.speaker.post(f"challenges/{self.challenge}/answer")["examination"])

    def _stream(self, challenge: str, pcm: bytes, rate: int) -> None:
        """Sends the answer as it is spoken: one chunk a second, as a microphone would."""
        step = int(rate * CHUNK_SECONDS) * 2
        started = time.monotonic()
        for number, start in enumerate(range(0, len(pcm), step)):
            time.sleep(max(0.0, started + (number + 1) * CHUNK_SECONDS - time.monotonic()))
            sent = self.speaker.send("PUT", f"challenges/{challenge}/chunks/{number}", pcm[start : start + step])
            if sent.status >= 400:
                raise ApiProblem(sent)

    def _script(self) -> Iterator[tuple[str, Any, int]]:
        total = 0.0
        for number, group in enumerate(batched_sentences(self.speaker.get("scripts/en")["sentences"])):
            if total >= TRAINING_SECONDS:
                return
            text = " ".join(group)
            sound, rate = recordings.say(text, voice=SPEAKER, seed=100 + number)
            total += len(sound) / rate
            yield text, sound, rate

    def _announce(self, text: str) -> str:
        body = {"challenge": self.challenge, "language": "en", "transcript": text}
        return str(self.speaker.post("recordings", body)["id"])

    def _upload(self, text: str, sound: Any, rate: int, *, keep: bool = True) -> str:
        made = self._announce(text)
        if keep:
            self.recording_ids.append(made)
        sent = self.speaker.send("PUT", f"recordings/{made}/content", recordings.wav(sound, rate), "audio/wav")
        return str(sent["examination"])

    def _examination(self, examination: str) -> dict[str, Any]:
        path = f"examinations/{examination}"
        found = self.speaker.wait(path, lambda found: found["state"] in {"done", "failed", "held"}, seconds=180)
        if found["state"] == "held":
            self._moderator_allows()
            found = self.speaker.wait(path, lambda found: found["state"] != "held", seconds=60)
        return found

    def _moderator_allows(self) -> None:
        """On a system that has heard this story before, the voice is enrolled already: a moderator looks at that."""
        decision = {"decision": "allow", "reason": "One synthetic voice plays several people.", "clause": "voice.match"}
        for case in self.moderator.get("cases?state=open").body:
            if case["kind"] == "voice_match":
                self.moderator.post(f"cases/{case['id']}/claim")["id"]
                self.moderator.post(f"cases/{case['id']}/decide", decision)["state"]

    def _examined(self, examination: str) -> str:
        """``pass``, or the verdict and its reason."""
        found = self._examination(examination)
        return "pass" if found["verdict"] == "pass" else f"{found['verdict'] or found['state']} {found['reason']}"

    def _job(self, who: Client, job: str, *, seconds: float) -> dict[str, Any]:
        def show(body: dict[str, Any]) -> None:
            left = f", about {body['seconds_left']:.0f} s left" if body["seconds_left"] else ""
            self.report.progress(f"{body['stage']} {body['progress']:.0%}{left}")

        return who.wait(f"jobs/{job}", lambda body: body["state"] in TERMINAL, seconds=seconds, show=show)

    def speak(self, who: Client, text: str, **declared: str) -> Answer:
        return who.post("speech", {"voice": self.voice, "text": text, "language": "en", "seed": 7, **declared})

    def _in_shop(self, listing: str) -> str:
        shown = [one["id"] for one in self.customer.get("listings?q=friendly").body]
        return "in the shop" if listing in shown else "not in the shop"

    def _spoken(self, who: Client, asked: Answer) -> dict[str, Any]:
        job = self._job(who, str(asked["job"]), seconds=300)
        if job["state"] != "succeeded":
            raise AssertionError(f"speech {job['state']}: {job['error_code']} {job['error_detail']}")
        return dict(who.get(f"speech/{asked['id']}").body)

    def _labels_of(self, file: Path) -> str:
        """India's rules ask for all but a time-stamp. Europe's do, and the demo has no authority for it."""
        folder = offline.lay_out(self.system, self.speaker, self.output, file)
        said = [offline.summary(offline.verdict(file, folder, profile)) for profile in ("in", "eu")]
        if said == ["compliant", "noncompliant c2pa.time_stamp_missing"]:
            return "all present, all agree; no time-stamp"
        return "; ".join(said)

    def _traced(self, recording: bytes) -> str:
        started = self.public.send("POST", "trace", recording)
        found = self.public.wait(f"trace/{started['id']}", lambda body: body["state"] != "queued", seconds=180)
        if found["state"] != "done":
            return f"{found['state']} {found['error_code']}"
        if not found["hits"]:
            return "no mark of ours"
        hit = found["hits"][0]
        which = "this output" if hit["output"] == self.output else "another output"
        return f"{which}, consent {hit.get('consent_state')}"

    def _save(self, who: Client, output: str, name: str) -> Path:
        status, data = who.download(f"outputs/{output}/audio")
        if status != 200:
            raise AssertionError(f"download of {output}: {status}")
        return self._keep(name, data)

    def _keep(self, name: str, data: bytes, *, sound: bool = True) -> Path:
        path = self.report.path.parent / name
        path.write_bytes(data)
        if sound:
            self.report.recordings.append(path)
        return path

    def _verify_receipt(self, receipt: dict[str, Any], name: str) -> str:
        path = self.system.var / f"{name}.json"
        path.write_text(json.dumps(receipt))
        done = self._vouch("verify-receipt", str(path))
        return "receipt verifies offline" if done == 0 else f"vouch verify-receipt exited with {done}"

    def _statement_verified(self) -> str:
        """The month's statement as a file: whole it verifies with the log's key alone, without a line it does not."""
        spoken_at = str(self.speaker.get(f"outputs/{self.output}")["created_at"])
        made = self.speaker.post("statement-files", {"period": spoken_at[:7]})
        status, data = self.speaker.download(f"statement-files/{made['id']}")
        if status != 200:
            raise AssertionError(f"download of the statement: {status}")
        whole = self._keep("statement.jsonl", data, sound=False)
        short = self.system.var / "statement-without-a-use.jsonl"
        lines = data.splitlines(keepends=True)
        short.write_bytes(b"".join(lines[:-1]))
        if (found := self._vouch("verify-statement", str(whole))) != 0:
            return f"vouch verify-statement exited with {found}"
        missing = self._vouch("verify-statement", str(short)) == 1
        return "whole, and a use left out is found" if missing else "a use left out was NOT found"

    def _vouch(self, *arguments: str) -> int:
        """The offline verifier, in a process that knows no database and no address: only the log's public key."""
        key = str(self.public.get("log/public-key")["public_key"])
        command = [sys.executable, "-m", "vouch.cli", *arguments, "--public-key", key]
        return subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False).returncode


def batched_sentences(sentences: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(sentences), SENTENCES_A_RECORDING):
        yield tuple(sentences[start : start + SENTENCES_A_RECORDING])


def said(answer: Answer) -> str:
    return f"{answer.status} {answer.code}".strip()
