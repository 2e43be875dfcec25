"""Listening: from sealed recording to evidence, in a worker. The order: from what one can mend to what bars one.

Challenge: quality, live words, own mark, spoof, heard before, then the search among protected and enrolled voices.
Training speech: quality, own mark, spoof, speaker match window by window, heard before, the same search, and the
channel as a hint; where two moderators stand for the speaker there is no live voice to compare with. The first step
that does not pass decides. In a rehearsal the spoof verdict alone is recorded and does not block: its speakers are
synthetic.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from consent import fingerprints
from consent.ceremony import BYTES_A_SECOND, RATE
from consent.examination import (
    HELD_REASON,
    INCONCLUSIVE,
    PASS,
    REFUSE,
    SEARCH_ADVICE,
    UPLOAD_ADVICE,
    VOICE_SEARCH,
)
from consent.models import Challenge, Examination, Recording
from foundation import keys
from foundation.errors import Refused
from foundation.identity.actors import Actor
from retention import custody
from retention.models import CustodyItem
from safety import matches, protected
from safety.errors import BadEmbedding
from safety.selectors import restricted_refs
from safety.states import SubjectKind
from watermark.selectors import fingerprints_of

if TYPE_CHECKING:
    import numpy as np

    from consent.biometrics.evidence import Evidence

ACTOR: Final = Actor.system("consent.examiners")
SEVERAL_VOICES: Final = "several_voices"
UNREADABLE_ZH: Final = {
    "not_audio": "无法识别为音频文件。请上传 WAV、FLAC、Ogg、MP3、M4A 或浏览器录制的文件。",
    "audio_empty": "录音为空，请重新录制并完整上传。",
    "audio_truncated": "文件不完整，请重新上传。",
    "audio_too_long": "录音过长，请上传不超过十分钟的文件。",
    "not_finite": "录音中含有无效数值，请重新录制。",
    "channels_differ": "各声道内容不同，可能有不同的人。请只上传一个麦克风的声道。",
}

HEARD_ADVICE: Final = {
    "replayed": {
        "en": "This answer contains a recording that was sent before. Read the new words yourself, live.",
        "zh": "此应答含有之前发送过的录音。请由本人现场朗读新的词。",
    },
    "sent_before": {
        "en": "This recording, or a part of it, was sent before and counts already. Read other sentences.",
        "zh": "该录音或其一部分此前已发送并已计入。请朗读其他句子。",
    },
}
REMOVED_ADVICE: Final = {
    "en": "This recording cannot be used: it is, or cannot be told from, one that was removed. Speak yourself.",
    "zh": "该录音无法使用：它是已被移除的录音，或无法与之区分。请由本人重新录制。",
}


@dataclass(slots=True)
class Findings:
    """What an examination ends with.

    ``template``: float32 little-endian, only of a challenge that passed or waits for a moderator; ``resembles``: the
    voices the moderator compares with (a live answer waits meanwhile, an upload is sent again); ``fingerprint``: by
    which the recording is known again.
    """

    verdict: str
    reason: str
    advice: dict[str, str]
    evidence: list[dict[str, Any]] = field(default_factory=list)
    template: bytes | None = None
    seconds: float | None = None
    resembles: list[protected.Match] = field(default_factory=list)
    fingerprint: bytes | None = None


Step = Callable[[], "Evidence"]
SEARCHED: Final = (3, 8.0)
"""Of an upload, so many stretches of so many seconds are searched for: its windows are compared with the live voice."""


def examine(found: Examination) -> Findings:
    """Listens to what the examination is about. Raises PastDeadline, KeyDestroyed."""
    if found.challenge_id is not None:
        return examine_challenge(found, Challenge.objects.select_related("custody").get(id=found.challenge_id))
    recordings = Recording.objects.select_related("custody", "challenge__template", "challenge__custody")
    return examine_recording(found, recordings.get(examination=found))


def examine_challenge(found: Examination, challenge: Challenge) -> Findings:
    """Listens to a live answer. Raises PastDeadline, KeyDestroyed; what is no usable sound becomes a finding."""
    import numpy as np

    from consent.biometrics import fingerprint, liveness, quality, speaker, spoof
    from consent.decisions import CHALLENGE_STEPS

    def listen() -> Findings:
        wave, rate = _answer(challenge), RATE
        print_ = fingerprint.of(wave, rate)
        embedding: list[np.ndarray] = []
        resembles: list[protected.Match] = []

        def search() -> "Evidence":
            embedding.append(speaker.embed(wave, rate))
            return _search(embedding[0], challenge.person_id, resembles)

        findings = _run(
            [
                lambda: quality.examine(wave, rate, purpose="live"),
                lambda: liveness.check(wave, rate, challenge.words, timeline=_timeline(challenge)),
                lambda: _own_mark(wave, rate),
                lambda: spoof.score(wave, rate, own_mark_found=False),
                lambda: _heard_before(print_, fingerprints.before(challenge), "replayed"),
                search,
            ],
            rehearsal=found.rehearsal,
            required=(*CHALLENGE_STEPS, VOICE_SEARCH),
        )
        findings.seconds, findings.fingerprint, findings.resembles = len(wave) / rate, print_, resembles
        if findings.verdict == PASS or resembles:
            findings.template = np.asarray(embedding[0], dtype="<f4").tobytes()
        return findings

    return _guarded(listen)


def examine_recording(found: Examination, recording: Recording) -> Findings:
    """Listens to training speech and compares every window with the live template. Raises as `examine_challenge`."""
    import numpy as np

    from consent.biometrics import channel, fingerprint, quality, speaker, spoof
    from consent.biometrics.audio import MODEL_RATE, at_model_rate
    from consent.decisions import RECORDING_STEPS
    from consent.decoding import decode

    def listen() -> Findings:
        if recording.custody is None:
            raise ValueError("a received recording has content")
        wave, rate = decode(custody.read(item=recording.custody, actor=ACTOR))
        print_ = fingerprint.of(wave, rate)
        resembles: list[protected.Match] = []
        steps: dict[str, Step] = {
            "quality": lambda: quality.examine(wave, rate, purpose="training"),
            "own_mark": lambda: _own_mark(wave, rate),
            "staydown": lambda: _removed_before(wave, rate),
            "spoof": lambda: spoof.score(wave, rate, own_mark_found=False),
            "speaker_windows": lambda: speaker.verify_windows([live], wave, rate),
            "heard_before": lambda: _heard_before(print_, fingerprints.beside(recording), "sent_before"),
            VOICE_SEARCH: lambda: _search(speaker.embed(_stretches(wave, rate), rate), recording.person_id, resembles),
            "channel": lambda: channel.compare(spoken, at_model_rate(wave, rate), MODEL_RATE),
        }
        if recording.challenge is None:
            del steps["speaker_windows"], steps["channel"]
        elif recording.challenge.template is None:
            raise ValueError("the challenge of a recording has a template")
        else:
            live = np.frombuffer(custody.read(item=recording.challenge.template, actor=ACTOR), dtype="<f4")
            spoken = _answer(recording.challenge)
        required = {*RECORDING_STEPS, VOICE_SEARCH} & set(steps)
        findings = _run(list(steps.values()), rehearsal=found.rehearsal, required=required)
        if findings.reason == SEVERAL_VOICES and "speaker_windows" in steps:
            # The quality check hears that there are several; the person must learn where.
            findings.evidence.append(steps["speaker_windows"]().to_dict())
        findings.seconds, findings.fingerprint, findings.resembles = len(wave) / rate, print_, resembles
        if resembles:
            findings.advice = dict(UPLOAD_ADVICE)
        return findings

    return _guarded(listen)


def _stretches(wave: "np.ndarray", rate: int) -> "np.ndarray":
    """Stretches from all over the recording, joined: what is searched for. float32 mono."""
    import numpy as np

    count, size = SEARCHED[0], int(SEARCHED[1] * rate)
    if len(wave) <= count * size:
        return wave
    begins = np.linspace(0, len(wave) - size, count).astype(int)
    return np.concatenate([wave[begin : begin + size] for begin in begins])


def _run(steps: list[Step], *, rehearsal: bool, required: Collection[str] = ()) -> Findings:
    """Takes the steps until one does not pass. What follows from their evidence, `consent.decisions` alone says."""
    from consent.decisions import decide

    evidence: list[Evidence] = []
    for step in steps:
        evidence.append(step())
        if decide(evidence, rehearsal=rehearsal).verdict != PASS:
            break
    found = decide(evidence, rehearsal=rehearsal, required=required)
    return Findings(found.verdict, found.reason, found.advice, [item.to_dict() for item in evidence])


def _guarded(listen: Callable[[], Findings]) -> Findings:
    """Sound that cannot be used is a finding about the upload, not a failure of ours."""
    from consent.biometrics.advice import ADVICE
    from consent.biometrics.audio import AudioError

    try:
        return listen()
    except AudioError as error:
        verdict = INCONCLUSIVE if error.code == "no_speech" else REFUSE
        return Findings(verdict, error.code, dict(ADVICE.get(error.code, {"en": str(error)})))
    except Refused as error:
        return Findings(
            REFUSE, error.code, {"en": f"{error.detail} {error.advice}", "zh": UNREADABLE_ZH.get(error.code, "")}
        )


def _answer(challenge: Challenge) -> "np.ndarray":
    """What was said, at `RATE`. Raises AudioEmpty, NotAudio, PastDeadline, KeyDestroyed."""
    from consent.decoding import from_pcm16

    if challenge.custody is None:
        raise ValueError("an answered challenge has an answer")
    return from_pcm16(custody.read(item=challenge.custody, actor=ACTOR), RATE).wave


def _timeline(challenge: Challenge) -> Any:
    """The challenge on the server's clock, in seconds since its words were shown."""
    from consent.biometrics.liveness import Timeline

    if challenge.custody is None:
        raise ValueError("an answered challenge has an answer")
    arrived = custody.arrivals(challenge.custody)
    first = challenge.custody.parts.get(index=0)
    # A chunk arrives when it ends; the speech in it is counted from its beginning.
    began = (arrived[0] - challenge.opened_at).total_seconds() - first.size / BYTES_A_SECOND
    return Timeline(
        displayed_at=0.0,
        first_chunk_at=max(began, 0.0),
        last_chunk_at=(arrived[-1] - challenge.opened_at).total_seconds(),
        expires_at=(challenge.expires_at - challenge.opened_at).total_seconds(),
    )


def _own_mark(wave: "np.ndarray", rate: int) -> "Evidence":
    """Our own watermark means our own engine spoke: refused always, in a rehearsal too."""
    import numpy as np
    import soxr

    from consent.biometrics.evidence import Evidence, Verdict
    from watermark.codec import grid
    from watermark.codec.errors import UnmarkableAudio
    from watermark.trace import trace

    if rate not in grid.ACCEPTED_RATES:
        wave, rate = np.asarray(soxr.resample(wave, rate, grid.RATE), dtype=np.float32), grid.RATE
    verdict, reason, advice = Verdict.PASS, "ok", {}
    try:
        hits = trace(wave, rate, key=keys.secret("mark"), scales=False)
    except UnmarkableAudio as error:
        hits, verdict, reason = [], Verdict.INCONCLUSIVE, "mark_unsearchable"
        advice = {
            "en": f"The recording cannot be searched for marks: {error}.",
            "zh": "无法在该录音中检测水印，请重新录制。",
        }
    if hits:
        verdict, reason = Verdict.REFUSE, "own_mark"
        advice = {
            "en": "This recording was made by a machine: it carries this platform's watermark. Speak yourself.",
            "zh": "该录音由机器合成，带有本平台的水印。请由本人亲自说话。",
        }
    return Evidence(
        kind="own_mark",
        value=float(len(hits)),
        threshold=1.0,
        verdict=verdict,
        reason=reason,
        advice=advice,
        model="watermark-1",
        details={"bounds": [hit.false_positive_bound for hit in hits[:10]]},
    )


def _removed_before(wave: "np.ndarray", rate: int) -> "Evidence":
    """Is this the sound of an output a moderator removed? Its mark may have been taken out; its sound is known."""
    import numpy as np
    import soxr

    from consent.biometrics.evidence import Evidence, Verdict
    from watermark.codec import fingerprint, grid
    from watermark.codec.errors import UnmarkableAudio

    kept = fingerprints_of(restricted_refs(subject_kind=SubjectKind.OUTPUT))
    best, verdict, reason = 0.0, Verdict.PASS, "ok"
    if kept:
        if rate not in grid.ACCEPTED_RATES:
            wave, rate = np.asarray(soxr.resample(wave, rate, grid.RATE), dtype=np.float32), grid.RATE
        try:
            heard = fingerprint.fingerprint(wave, rate)
        except UnmarkableAudio:
            verdict, reason = Verdict.INCONCLUSIVE, "mark_unsearchable"
        else:
            found = [fingerprint.agreement(heard, one) for one in kept.values()]
            best = max(one.value for one in found)
            if any(one.verdict == "same" for one in found):
                verdict, reason = Verdict.REFUSE, "removed_before"
    return Evidence(
        kind="staydown",
        value=round(best, 4),
        threshold=fingerprint.SAME_SOUND,
        verdict=verdict,
        reason=reason,
        advice={} if reason == "ok" else dict(REMOVED_ADVICE),
        model=f"fingerprint-{fingerprint.VERSION}",
        details={"compared": float(len(kept))},
    )


def _heard_before(print_: bytes, earlier: Iterable[CustodyItem], reason: str) -> "Evidence":
    """Is a stretch of this the very same recording as an earlier one? ``reason``: what that is called here."""
    from consent.biometrics import fingerprint
    from consent.biometrics.evidence import Evidence, Verdict

    known = {str(item.parent_id): custody.read(item=item, actor=ACTOR) for item in earlier}
    found = fingerprint.search(print_, known)
    return Evidence(
        kind="heard_before",
        value=max((match.end - match.start for match in found), default=0.0),
        threshold=0.0,
        verdict=Verdict.REFUSE if found else Verdict.PASS,
        reason=reason if found else "ok",
        advice=HEARD_ADVICE[reason] if found else {},
        model=fingerprint.MODEL,
        details={
            "compared": float(len(known)),
            "stretches": [[match.start, match.end, match.name] for match in found[:10]],
        },
    )


def _search(embedding: "np.ndarray", person_id: UUID, resembles: list[protected.Match]) -> "Evidence":
    """Does this voice resemble one under protection, or one another account has enrolled?

    What a moderator must look at is added to ``resembles``. The evidence says nothing of it: the uploader reads that.
    """
    from consent.biometrics.evidence import Evidence, Verdict

    try:
        found = protected.search(embedding=[float(number) for number in embedding], besides=person_id)
    except BadEmbedding as error:  # our registry's fault, not the recording's
        raise RuntimeError("the voices cannot be compared") from error
    asked, refused_before = matches.sort_out(person_id=person_id, matches=found)
    if refused_before:
        verdict, reason = Verdict.REFUSE, "refused_by_moderator"
    elif asked:
        verdict, reason = Verdict.INCONCLUSIVE, HELD_REASON
        resembles.extend(asked)
    else:
        verdict, reason = Verdict.PASS, "allowed_by_moderator" if found else "ok"
    return Evidence(
        kind=VOICE_SEARCH,
        value=1.0 if asked else 0.0,
        threshold=1.0,
        verdict=verdict,
        reason=reason,
        advice=SEARCH_ADVICE.get(reason, {}),
        model=f"search-{protected.SAME_VOICE}-{protected.SAME_ENROLLED}",
    )
