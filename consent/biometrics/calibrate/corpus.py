"""Recorded speech that anyone can install: which Debian packages, who speaks in them, who may be the same person.

The packages need no installation: ``apt-get download NAME`` and ``dpkg -x FILE FOLDER`` are enough. Their licences
allow measuring; they are no consent to clone anybody, and nothing of them is kept here: no audio, no embedding of a
person.

That one folder holds one person is stated by the packages for the telephone prompts and assumed for the games (a
volunteer a language). Voices that might be the same volunteer share a ``family`` and never count as impostors of each
other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import numpy as np
import soundfile
import soxr

from consent.biometrics.audio import MODEL_RATE

#: Of each session at most this much is read, in seconds: enough for every trial, and bounded memory (64 kB a second).
MAX_SESSION_SECONDS: Final = 240.0
#: A voice with less speech than this is left out.
MIN_VOICE_SECONDS: Final = 8.0
#: No prompt is longer; a larger file is something else.
MAX_FILE_BYTES: Final = 20_000_000

_ASTERISK: Final = "usr/share/asterisk/sounds"
_KLETTRES: Final = "usr/share/klettres"
_KTUBERLING: Final = "usr/share/ktuberling/sounds"
_TUXPAINT: Final = "usr/share/tuxpaint/stamps"
_FILLETS: Final = "usr/share/games/fillets-ng/sound"
_SPHINX: Final = "usr/share/pocketsphinx/test/data"


#: Not de: its letters and its syllables are two people (cosine -0.1 where one person has 0.5 to 0.9).
_IN_KLETTRES: Final = (
    *("ar", "cs", "da", "en", "en_GB", "es", "fr", "he", "hu", "it", "lt", "ml", "nb", "nds", "nl"),
    *("pt_BR", "ru", "tn", "uk"),
)
#: The four folders sr, sr@latin, sr@ijekavian, sr@ijekavianlatin hold identical files: one of them.
_IN_KTUBERLING: Final = (
    *("ca", "da", "de", "el", "en", "es", "fi", "fr", "ga", "gl", "it", "lt", "nds", "nl", "pt", "ro"),
    *("ru", "sl", "sr", "sv", "uk", "wa"),
)
_IN_TUXPAINT: Final = ("be", "bg", "ca", "da", "el", "es", "fr", "lt", "ro", "ru")


class CorpusMissing(RuntimeError):
    """Packages that are not in the folder; the message says how to get them."""


@dataclass(frozen=True)
class Voice:
    """One person in one set of recordings.

    ``sessions``: lists of clips, each float32 (samples,) at 16 kHz, -1..1, as recorded (edges not trimmed); two
    sessions of a voice are different texts (words against spelling), not always different days. ``names``: the file
    stem of each clip, beside ``sessions`` (under ``digits``, ``letters`` and ``phonetic`` it is what is said).
    Voices with one ``person`` are the same human; voices with one ``family`` may be.
    """

    name: str
    person: str
    sessions: list[list[np.ndarray]]
    family: str = ""
    gender: str = ""
    names: list[list[str]] = field(default_factory=list)
    #: Hz of the files: 8,000 for telephone-band originals.
    native_rate: int = 0

    @property
    def seconds(self) -> float:
        """Audio in all sessions, pauses included."""
        return sum(clip.size for session in self.sessions for clip in session) / MODEL_RATE


@dataclass(frozen=True)
class _Source:
    """Where a voice is found: for each session, glob patterns below the folder."""

    name: str
    package: str
    sessions: tuple[tuple[str, ...], ...]
    person: str = ""
    family: str = ""
    gender: str = ""
    native_rate: int = 16_000


def _asterisk(name: str, package: str, folder: str, gender: str, suffix: str, **more: object) -> _Source:
    root = f"{_ASTERISK}/{folder}"
    spelled = tuple(f"{root}/{part}/*.{suffix}" for part in ("digits", "letters", "phonetic"))
    prompts = (f"{root}/*.{suffix}", f"{root}/dictate/*.{suffix}", f"{root}/followme/*.{suffix}")
    return _Source(name, package, (prompts, spelled), gender=gender, **more)  # type: ignore[arg-type]


def _language(name: str) -> str:
    """The family of a volunteer's voice. klettres tn and pt_BR score 0.88 at 5 s, as one person does: it may be one."""
    return f"volunteer_{'pt' if name == 'tn' else name.split('_')[0]}"


def _klettres(language: str) -> _Source:
    root = f"{_KLETTRES}/{language}"
    sessions = ((f"{root}/alpha/*.ogg",), (f"{root}/syllab/*.ogg",))
    return _Source(f"klettres_{language}", "klettres-data", sessions, family=_language(language), native_rate=44_100)


def _ktuberling(language: str) -> _Source:
    sessions = ((f"{_KTUBERLING}/{language}/*.ogg", f"{_KTUBERLING}/{language}/*.wav"),)
    return _Source(
        f"ktuberling_{language}", "ktuberling-data", sessions, family=_language(language), native_rate=44_100
    )


def _tuxpaint(language: str) -> _Source:
    root = f"{_TUXPAINT}/**/*_desc_{language}.ogg"
    return _Source(
        f"tuxpaint_{language}", "tuxpaint-stamps-default", ((root,),), family=_language(language), native_rate=44_100
    )


def _fillets(language: str, fish: str) -> _Source:
    """The two actors of one dubbing: the small fish (m) and the big fish (v), in scenes; half of the scenes each."""
    halves = tuple(
        tuple(f"{_FILLETS}/{letter}*/{language}/*-{fish}-*.ogg" for letter in letters)
        for letters in ("abcdefghijkl", "mnopqrstuvwxyz")
    )
    return _Source(f"fillets_{language}_{fish}", f"fillets-ng-data-{language}", halves, native_rate=22_050)


SOURCES: Final[tuple[_Source, ...]] = (
    _asterisk("allison_en", "asterisk-core-sounds-en-g722", "en_US_f_Allison", "f", "g722", person="allison"),
    _asterisk("allison_es", "asterisk-core-sounds-es-g722", "es_MX_f_Allison", "f", "g722", person="allison"),
    _asterisk("june_fr", "asterisk-core-sounds-fr-g722", "fr_CA_f_June", "f", "g722"),
    _asterisk("carlo_it", "asterisk-core-sounds-it-g722", "it_IT_m_Carlo", "m", "g722"),
    _asterisk("ivr_ru", "asterisk-core-sounds-ru-g722", "ru_RU_f_IvrvoiceRU", "f", "g722"),
    _asterisk("menardi_it", "asterisk-prompt-it-menardi-wav", "it_IT_f_Menardi", "f", "wav", native_rate=8_000),
    _asterisk("july_esco", "asterisk-prompt-es-co", "es", "f", "gsm", native_rate=8_000),
    _asterisk("armelle_fr", "asterisk-prompt-fr-armelle", "fr", "f", "gsm", native_rate=8_000),
    *(_klettres(language) for language in _IN_KLETTRES),
    *(_ktuberling(language) for language in _IN_KTUBERLING),
    *(_tuxpaint(language) for language in _IN_TUXPAINT),
    *(_fillets(language, fish) for language in ("cs", "nl") for fish in ("m", "v")),
    _Source("librivox_en", "pocketsphinx-testdata", ((f"{_SPHINX}/librivox/*.wav",),)),
    _Source("cards_en", "pocketsphinx-testdata", ((f"{_SPHINX}/cards/*.wav",),)),
)

PACKAGES: Final[tuple[str, ...]] = tuple(dict.fromkeys(source.package for source in SOURCES))


def read(path: Path) -> np.ndarray:
    """One sound file as mono float32 (samples,) at 16 kHz: G.722 and GSM by FFmpeg, the rest by libsndfile.

    Raises ValueError for a file that is too large or holds no sound.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{path.name}: larger than {MAX_FILE_BYTES} bytes")
    if path.suffix in (".g722", ".gsm"):
        with av.open(str(path), format=path.suffix[1:]) as container:
            parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
        sound = np.concatenate(parts, axis=1)[0].astype(np.float32) / 32_768.0
        rate = 16_000 if path.suffix == ".g722" else 8_000
    else:
        read_in, rate = soundfile.read(path, dtype="float32", always_2d=True)
        sound = read_in.mean(axis=1)
    if sound.size == 0:
        raise ValueError(f"{path.name}: holds no sound")
    return np.asarray(soxr.resample(sound, rate, MODEL_RATE) if rate != MODEL_RATE else sound, dtype=np.float32)


def load(
    folder: Path | str, *, session_seconds: float = MAX_SESSION_SECONDS, only: Iterable[str] | None = None
) -> list[Voice]:
    """Read every voice below ``folder`` (an unpacked tree with ``usr/share/...``; ``/`` where they are installed).

    ``only``: names of voices to read; ``session_seconds``: the most of each session. Files are taken in an order drawn
    from their names, so that a bounded session is a fair sample of its texts. Raises CorpusMissing with the list of
    packages that are not there.
    """
    root = Path(folder)
    wanted = [source for source in SOURCES if only is None or source.name in set(only)]
    absent = sorted({source.package for source in wanted if not any(_files(root, source.sessions[0]))})
    if absent:
        raise CorpusMissing(
            f"not found below {root}: {' '.join(absent)}. "
            f"Get them with 'apt-get download NAME' and 'dpkg -x FILE {root}'."
        )
    voices = [_voice(root, source, session_seconds) for source in wanted]
    return [voice for voice in voices if voice.seconds >= MIN_VOICE_SECONDS]


def impostors(one: Voice, other: Voice) -> bool:
    """May a trial between the two count as an impostor trial? Not for one person, nor where it might be one."""
    return one.person != other.person and one.family != other.family


def _voice(root: Path, source: _Source, session_seconds: float) -> Voice:
    sessions: list[list[np.ndarray]] = []
    names: list[list[str]] = []
    for patterns in source.sessions:
        clips: list[np.ndarray] = []
        stems: list[str] = []
        left = session_seconds * MODEL_RATE
        for path in sorted(_files(root, patterns), key=_drawn):
            if left <= 0.0:
                break
            clip = read(path)
            clips.append(clip)
            stems.append(path.stem)
            left -= clip.size
        if clips:
            sessions.append(clips)
            names.append(stems)
    return Voice(
        name=source.name,
        person=source.person or source.name,
        sessions=sessions,
        family=source.family or source.person or source.name,
        gender=source.gender,
        names=names,
        native_rate=source.native_rate,
    )


def _files(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in root.glob(pattern)]


def _drawn(path: Path) -> str:
    return hashlib.sha256(path.name.encode()).hexdigest()
