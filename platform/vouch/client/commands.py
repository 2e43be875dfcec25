"""``vouch login / enrol / speak / trace``: the client at a terminal."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from vouch.client import Examination, Problem, TookTooLong, Unreachable, Vouch

PIECE: Final = 16_000
"""Bytes of a piece of the live answer: half a second of mono 16-bit sound at 16 kHz."""
PIECE_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 20.0
"""How long a microphone is listened to: six words take five to ten."""
RECORDER: Final = ("arecord", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "16000")
MAX_SOUND: Final = 25 * 1024 * 1024
DONE, REFUSED, TROUBLE = 0, 1, 2


class Stop(Exception):
    """Something to tell the person, and the end of the command."""


def add(commands: Any) -> None:
    """Adds the four commands to the parser of ``vouch``."""
    login = commands.add_parser("login", help="keep an address and an API key for the other commands")
    login.add_argument("address", help="https://vouch.example")
    login.set_defaults(run=_told(_login), public_key=None)
    enrol = commands.add_parser(
        "enrol", help="answer a live challenge, give consent, train a voice", description=_enrol.__doc__
    )
    enrol.add_argument("name", help="of the new voice")
    enrol.add_argument(
        "speech", type=Path, help="folder of training speech: NAME.wav beside NAME.txt, what is said in it"
    )
    enrol.add_argument("--language", default="en")
    enrol.add_argument(
        "--pcm", metavar="FILE", help="raw 16-bit mono 16 kHz sound instead of the microphone; - for stdin"
    )
    enrol.add_argument(
        "--agree", metavar="VERSION", help="you have read consent text VERSION and the biometric release"
    )
    enrol.add_argument("--licence-to-others", action="store_true", help="others may license the voice from you")
    enrol.set_defaults(run=_told(_enrol), public_key=None)
    speak = commands.add_parser("speak", help="have a text spoken and save the recording")
    speak.add_argument("voice", help="its name or id")
    speak.add_argument("text", help="- reads it from standard input")
    speak.add_argument("--out", type=Path, required=True, help="its ending says the format: wav, flac, mp3, opus, m4a")
    speak.add_argument("--seed", type=int)
    speak.add_argument("--speed", type=float, default=1.0)
    speak.add_argument(
        "--stream",
        action="store_true",
        help="write it as it is made (wav, mp3, opus); --out - for a pipe",
    )
    speak.set_defaults(run=_told(_speak), public_key=None)
    trace = commands.add_parser("trace", help="where does a recording come from?")
    trace.add_argument("file", type=Path)
    trace.add_argument("--json", action="store_true")
    trace.set_defaults(run=_told(_trace), public_key=None)


def _told(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace, bytes | None], int]:
    def run(options: argparse.Namespace, _: bytes | None) -> int:
        try:
            return command(options)
        except Stop as stop:
            sys.stderr.write(f"{stop}\n")
        except (Problem, Unreachable, TookTooLong, OSError) as error:
            sys.stderr.write(f"{error}\n")
        return TROUBLE

    return run


# -- who is asking ----------------------------------------------------------------------------------------------------


def credentials_file() -> Path:
    """Where ``vouch login`` keeps address and key."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "vouch" / "credentials.json"


def _client(*, keyless: bool = False) -> Vouch:
    address, key = os.environ.get("VOUCH_ADDRESS", ""), os.environ.get("VOUCH_API_KEY", "")
    place = credentials_file()
    if not address and place.is_file():
        if place.stat().st_mode & 0o077:
            raise Stop(f"{place} can be read by others: chmod 600 it, and ask for a new key.")
        kept = json.loads(place.read_text())
        address, key = kept["address"], kept["key"]
    if not address:
        raise Stop("Say where Vouch is: vouch login ADDRESS, or VOUCH_ADDRESS and VOUCH_API_KEY.")
    if not key and not keyless:
        raise Stop("This needs an API key: vouch login ADDRESS.")
    return Vouch(address, key or None)


def _login(options: argparse.Namespace) -> int:
    key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    with Vouch(options.address, key) as vouch:
        me = vouch.whoami()
    place = credentials_file()
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made with its permissions, not given them afterwards: nobody else may read it for a moment either.
    place.unlink(missing_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"address": options.address, "key": key}, file)
    sys.stdout.write(f"Signed in as {me['display_name']}; kept in {place}.\n")
    return DONE


# -- speaking and tracing ---------------------------------------------------------------------------------------------


def _speak(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.text == "-" else options.text
    container = options.out.suffix.removeprefix(".").lower()
    if options.stream:
        return _stream(options, text)
    with _client() as vouch:
        manner = {"speed": options.speed} if options.speed != 1.0 else None
        made = vouch.speak(options.voice, text, container=container, seed=options.seed, manner=manner)
    made.save(options.out)
    sys.stdout.write(
        f"{options.out}: {made.seconds:.1f} s, of which {made.label_seconds:.1f} s are the label that it was made by a "
        f"machine. Recording {made.id}.\n"
    )
    return DONE


def _stream(options: argparse.Namespace, text: str) -> int:
    """Writes the sound as it comes; a file is the finished recording in the end, with its lengths and credentials."""
    to_pipe = str(options.out) == "-"
    container = "wav" if to_pipe else options.out.suffix.removeprefix(".").lower()
    manner = {"speed": options.speed} if options.speed != 1.0 else None
    with _client() as vouch:
        with vouch.stream(options.voice, text, container=container, seed=options.seed, manner=manner) as stream:
            sys.stderr.write(f"{stream.label or 'A rhythm says that a machine made this.'}\n")
            with contextlib.nullcontext(sys.stdout.buffer) if to_pipe else options.out.open("wb") as out:
                for piece in stream:
                    out.write(piece)
                    out.flush()
        if not to_pipe:
            vouch.download(stream.output).save(options.out)
    sys.stderr.write(f"Recording {stream.output}.\n")
    return DONE


def _trace(options: argparse.Namespace) -> int:
    with _client(keyless=True) as vouch:
        found = vouch.trace(_sound(options.file))
    if options.json:
        hits = [vars(hit) for hit in found.hits]
        sys.stdout.write(json.dumps({"id": found.id, "verdict": found.verdict, "hits": hits}, indent=2) + "\n")
    else:
        sys.stdout.write(f"{found.verdict}\n")
        for hit in found.hits:
            sys.stdout.write(
                f"  {hit.output or '-'}  made {hit.made_at or '-'}  {hit.state}  consent {hit.consent_state or '-'}\n"
            )
    return DONE if found.verdict == "ours" else REFUSED


def _sound(path: Path) -> bytes:
    if path.stat().st_size > MAX_SOUND:
        raise Stop(f"{path} is larger than {MAX_SOUND // 2**20} MiB: send a part of it.")
    return path.read_bytes()


# -- enrolling --------------------------------------------------------------------------------------------------------


def _enrol(options: argparse.Namespace) -> int:
    """Asks for consent, shows six words to be read aloud at once, checks the training speech against who read them, and
    trains. Nobody can do this for another person."""
    speech = _pairs(options.speech)
    with _client() as vouch:
        version = _agreed(vouch, options)
        challenge = vouch.open_challenge()
        sys.stdout.write(f"Read aloud now:\n\n    {'  '.join(challenge.words)}\n\n")
        sys.stdout.flush()
        for number, piece in enumerate(_answer(options.pcm)):
            vouch.send_piece(challenge.id, number, piece)
        _must_pass("Your reading", vouch.finish_challenge(challenge.id))
        recordings = []
        for sound, said in speech:
            made, found = vouch.upload(challenge.id, said, _sound(sound), language=options.language)
            _must_pass(sound.name, found)
            recordings.append(made)
        uses = {"own_use": True, "licence_to_others": options.licence_to_others}
        given = vouch.consent(
            challenge.id, recordings, text_version=version, uses=uses, languages=[options.language],
            biometric_release=True,
        )  # fmt: skip
        sys.stdout.write(
            f"Consent {given['id']} is given; vouch's console and API withdraw it at any time. Training …\n"
        )
        sys.stdout.flush()
        voice = vouch.train(given["id"], options.name, language=options.language)
    sys.stdout.write(f"Voice {voice.name} ({voice.id}) is {voice.state}.\n")
    return DONE


def _pairs(folder: Path) -> list[tuple[Path, str]]:
    sounds = sorted(folder.glob("*.wav")) if folder.is_dir() else []
    if not sounds:
        raise Stop(f"{folder} holds no .wav files.")
    for sound in sounds:
        if not sound.with_suffix(".txt").is_file():
            raise Stop(f"{sound.with_suffix('.txt')} is missing: it says what is spoken in {sound.name}.")
    return [(sound, sound.with_suffix(".txt").read_text().strip()) for sound in sounds]


def _answer(source: str | None) -> Iterator[bytes]:
    """Pieces of the live answer, each when it has been spoken: the server looks at when they arrive."""
    if source == "-":
        yield from _listened(sys.stdin.buffer)
    elif source is not None:
        with Path(source).open("rb") as file:
            began = time.monotonic()
            for number, piece in enumerate(_pieces(file), start=1):
                time.sleep(max(0.0, began + number * PIECE_SECONDS - time.monotonic()))
                yield piece
    else:
        program = shutil.which(RECORDER[0])
        if program is None:
            raise Stop("arecord is not installed (Debian: alsa-utils). Pipe a microphone in with --pcm - instead.")
        with subprocess.Popen([program, *RECORDER[1:]], stdout=subprocess.PIPE) as recorder:
            assert recorder.stdout is not None
            yield from _listened(recorder.stdout)
            recorder.terminate()


def _listened(source: IO[bytes]) -> Iterator[bytes]:
    """What a microphone gives while it is listened to: it has no end of its own."""
    until = time.monotonic() + ANSWER_SECONDS
    for piece in _pieces(source):
        yield piece
        if time.monotonic() > until:
            break


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while piece := source.read(PIECE):
        yield piece[: len(piece) // 2 * 2]


def _must_pass(what: str, found: Examination) -> None:
    if not found.passed:
        raise Stop(f"{what}: {found.verdict} ({found.reason}). {found.advice}".strip())


def _agreed(vouch: Vouch, options: argparse.Namespace) -> str:
    """The version of the text that the person agreed to, here or before. Raises Stop."""
    offered = vouch.consent_texts()
    texts = {one["version"]: one for one in offered if one["kind"] == "consent"}
    if options.agree is not None:
        if options.agree not in texts:
            raise Stop(f"There is no consent text {options.agree}: {', '.join(texts)}.")
        return str(options.agree)
    if options.pcm == "-" or not sys.stdin.isatty():
        raise Stop(f"Read the consent text and give its version with --agree: {', '.join(texts)}.")
    version = next((name for name, text in texts.items() if text["language"] == options.language), next(iter(texts)))
    language = texts[version]["language"]
    release = next(one for one in offered if one["kind"] == "biometric" and one["language"] == language)
    sys.stdout.write(f"\n{texts[version]['text']}\n\n{release['text']}\n\n")
    if input("Type I AGREE to both, or anything else to stop: ").strip() != "I AGREE":
        raise Stop("Nothing was agreed to and no voice was made.")
    return version
