"""Several requests at once: S1 reads the sentences of all voices of one base in one batch, and the flow of v3 and v4
samples them in one (Punica, Chen et al. 2023).

Every sentence keeps its own randomness, so a request gets the codes that it gets alone, and the same sound but for the
rounding of larger products.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from cloning.engine.acoustic.mels import FlowSampling, chained_together
from cloning.engine.errors import SynthesisFailed
from cloning.engine.semantic.sampling import Decoded, decode_batch
from cloning.engine.tts.flow import Flow
from cloning.engine.tts.join import Wave
from cloning.engine.tts.speaker import Said, Speaker, Trial

K = TypeVar("K")
T = TypeVar("T")


def said_together(speakers: Sequence[Speaker]) -> list[list[Said] | SynthesisFailed]:
    """All sentences of each speaker's job in order; a job that cannot be said gives its failure and stops no other.

    Not for jobs with upstream's quirks, whose sentences share one stream of randomness.
    """
    trials = [[Trial(speaker, index) for index in range(len(speaker.job.sentences))] for speaker in speakers]
    while waiting := [trial for row in trials for trial in row if not trial.done]:
        decoded = _codes(waiting)
        for trial, one, wave in zip(waiting, decoded, _sounds(waiting, decoded), strict=True):
            trial.judge(one, wave)
    return [_said(row) for row in trials]


def _said(trials: Sequence[Trial]) -> list[Said] | SynthesisFailed:
    try:
        return [trial.said() for trial in trials]
    except SynthesisFailed as error:
        return error


def _codes(trials: Sequence[Trial]) -> list[Decoded]:
    """The next attempt's codes of each sentence, one batch for each S1."""
    found: list[Decoded | None] = [None] * len(trials)
    for some in _groups((id(trial.speaker.runner), place) for place, trial in enumerate(trials)):
        asked = [trials[place].speaker.utterance(trials[place].index, trials[place].attempt) for place in some]
        for place, one in zip(some, decode_batch(trials[some[0]].speaker.runner, asked), strict=True):
            found[place] = one
    return [one for one in found if one is not None]


def _sounds(trials: Sequence[Trial], decoded: Sequence[Decoded]) -> list[Wave | None]:
    """The sound of each sentence, None for one without codes; one batch for each transformer and way of sampling."""
    waves: list[Wave | None] = [None] * len(trials)
    flows: list[tuple[tuple[int, FlowSampling], tuple[int, Flow]]] = []
    for place, (trial, one) in enumerate(zip(trials, decoded, strict=True)):
        flow = trial.speaker.job.flow
        if flow is not None and one.codes.numel():
            flows.append(((id(flow.model.cfm), flow.sampling), (place, flow)))
        elif one.codes.numel():
            waves[place] = trial.speaker.sound(one.codes, trial.phones, trial.generator())
    for some in _groups(flows):
        rows = []
        for place, flow in some:
            trial, job = trials[place], trials[place].speaker.job
            speed = job.request.speed_factor
            rows.append(flow.row(decoded[place].codes, trial.phones, job.style, speed, trial.generator()))
        for (place, flow), mel in zip(some, chained_together(rows, some[0][1].sampling), strict=True):
            waves[place] = flow.wave(mel)
    return waves


def _groups(keyed: Iterable[tuple[K, T]]) -> list[list[T]]:
    """Things of the same key together, in the order of their first."""
    groups: dict[K, list[T]] = {}
    for key, thing in keyed:
        groups.setdefault(key, []).append(thing)
    return list(groups.values())
