"""Listening: from sealed recording to evidence, in a worker. The order: from what one can mend to what bars one.

Challenge: quality, live words, own mark, spoof, speaker template, protected voices. Training speech: quality, own
mark, spoof, speaker match window by window. The first step that does not pass decides. In a rehearsal the spoof verdict
alone is recorded and does not block: the rehearsal's speakers are synthetic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from consent.ceremony import RATE
from consent.examination import INCONCLUSIVE, PASS, REFUSE
from consent.models import Challenge, Examination, Recording
from foundation import keys
from foundation.errors import Refused
from foundation.identity.actors import Actor
from retention import custody

if TYPE_CHECKING:
    import numpy as np

    from consent.biometrics.evidence import Evidence

ACTOR: Final = Actor.system("consent.examiners")
SPOOF: Final = "spoof"
UNREADABLE_ZH: Final = {
    "not_audio": "无法识别为音频文件。请上传 WAV、FLAC、Ogg、MP3、M4A 或浏览器录制的文件。",
    "audio_empty": "录音为空，请重新录制并完整上传。",
    "audio_truncated": "文件不完整，请重新上传。",
    "audio_too_long": "录音过长，请上传不超过十分钟的文件。",
}


@dataclass(slots=True)
class Findings:
    """What an examination ends with. ``template``: float32 little-endian, only of a passed challenge."""

    verdict: str
    reason: str
    advice: dict[str, str]
    evidence: list[dict[str, Any]] = field(default_factory=list)
    template: bytes | None = None
    seconds: float | None = None


Step = Callable[[], "Evidence"]


def examine(found: Examination) -> Findings:
    """Listens to what the examination is about. Raises PastDeadline, KeyDestroyed."""
    if found.challenge_id is not None:
        return examine_challenge(found, Challenge.objects.select_related("custody").get(id=found.challenge_id))
    recordings = Recording.objects.select_related("custody", "challenge__template")
    return examine_recording(found, recordings.get(examination=found))


def examine_challenge(found: Examination, challenge: Challenge) -> Findings:
    """Listens to a live answer. Raises PastDeadline, KeyDestroyed; what is no usable sound becomes a finding."""
    import numpy as np

    from consent.biometrics import liveness, quality, speaker, spoof
    from consent.decoding import from_pcm16

    def listen() -> Findings:
        if challenge.custody is None:
            raise ValueError("an answered challenge has an answer")
        wave, rate = from_pcm16(custody.read(item=challenge.custody, actor=ACTOR), RATE)
        embedding: list[np.ndarray] = []

        def protected() -> "Evidence":
            embedding.append(speaker.embed(wave, rate))
            return _protected(embedding[0])

        findings = _run(
            [
                lambda: quality.examine(wave, rate, purpose="live"),
                lambda: liveness.check(wave, rate, challenge.words, timeline=_timeline(challenge)),
                lambda: _own_mark(wave, rate),
                lambda: spoof.score(wave, rate, own_mark_found=False),
                protected,
            ],
            rehearsal=found.rehearsal,
        )
        findings.seconds = len(wave) / rate
        if findings.verdict == PASS:
            findings.template = np.asarray(embedding[0], dtype="<f4").tobytes()
        return findings

    return _guarded(listen)


def examine_recording(found: Examination, recording: Recording) -> Findings:
    """Listens to training speech and compares every window with the live template. Raises as `examine_challenge`."""
    import numpy as np

    from consent.biometrics import quality, speaker, spoof
    from consent.decoding import decode

    def listen() -> Findings:
        if recording.custody is None or recording.challenge.template is None:
            raise ValueError("a received recording has content, and its challenge a template")
        live = np.frombuffer(custody.read(item=recording.challenge.template, actor=ACTOR), dtype="<f4")
        wave, rate = decode(custody.read(item=recording.custody, actor=ACTOR))
        findings = _run(
            [
                lambda: quality.examine(wave, rate, purpose="training"),
                lambda: _own_mark(wave, rate),
                lambda: spoof.score(wave, rate, own_mark_found=False),
                lambda: speaker.verify_windows([live], wave, rate),
            ],
            rehearsal=found.rehearsal,
        )
        findings.seconds = len(wave) / rate
        return findings

    return _guarded(listen)


def _run(steps: list[Step], *, rehearsal: bool) -> Findings:
    evidence: list[Evidence] = []
    for step in steps:
        evidence.append(step())
        latest = evidence[-1]
        if not latest.passed and not (rehearsal and latest.kind == SPOOF):
            return Findings(
                latest.verdict.value, latest.reason, dict(latest.advice), [item.to_dict() for item in evidence]
            )
    return Findings(PASS, "ok", {}, [item.to_dict() for item in evidence])


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


def _timeline(challenge: Challenge) -> Any:
    """The challenge on the server's clock, in seconds since its words were shown."""
    from consent.biometrics.liveness import Timeline

    if challenge.custody is None:
        raise ValueError("an answered challenge has an answer")
    arrived = custody.arrivals(challenge.custody)
    return Timeline(
        displayed_at=0.0,
        first_chunk_at=(arrived[0] - challenge.opened_at).total_seconds(),
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
        hits = trace(wave, rate, key=keys.secret("mark"))
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


def _protected(embedding: "np.ndarray") -> "Evidence":
    """Is this a voice somebody has put under protection? Whose, the uploader never learns."""
    from consent.biometrics.evidence import Evidence, Verdict
    from safety import protected

    hits = protected.search(embedding=[float(number) for number in embedding])
    return Evidence(
        kind="protected_voice",
        value=float(len(hits)),
        threshold=1.0,
        verdict=Verdict.REFUSE if hits else Verdict.PASS,
        reason="protected_voice" if hits else "ok",
        advice={
            "en": "This voice cannot be cloned here. If it is yours, write to the platform's moderators.",
            "zh": "该声音不能在此克隆。如果这是您本人的声音，请联系平台审核人员。",
        }
        if hits
        else {},
        model=f"protected-{protected.SAME_VOICE}",
    )
