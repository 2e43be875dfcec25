"""Decoding S1: from phones to codes, one utterance or many together, whole or in chunks, and when to stop.

How a code is chosen is `choice`; what computes the scores is a `Runner` (`prepare` makes a fast one). Every utterance
has its own generator, places and end: it gives exactly the codes it gives alone, whatever is decoded beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.semantic.choice import Sampling, draw, penalise, penalise_seen, probabilities
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.packed import PackedRunner
from cloning.engine.semantic.runner import PlainRunner, Runner, State

__all__ = [
    "MOST_CODES",
    "MUTE_CODE",
    "STEPS_WITHOUT_END",
    "Chunk",
    "Decoded",
    "Row",
    "Sampling",
    "Utterance",
    "choose",
    "code_bound",
    "decode",
    "decode_batch",
    "decode_stream",
    "draw",
    "mute_similarity",
    "official_result",
    "penalise",
    "prepare",
    "probabilities",
    "speak",
]

#: The end mark cannot be chosen in the first steps: nothing shorter than 0.44 s is speech (official rule, idx 0..10).
STEPS_WITHOUT_END = 11
#: Absolute limit on codes for one fragment, one minute at 25 Hz (the official limit of 1500 steps).
MOST_CODES = 1500
#: Slowest speech that counts as speech: training data below 3 phones a second are dropped, 25 / 3 codes for a phone.
MOST_CODES_PER_PHONE = 25 / 3
#: Pauses at both ends, added to every bound: one second.
SLACK_CODES = 25
#: How much slower than its own reference recording a voice may speak before it counts as babble.
PACE_TOLERANCE = 2.5
#: The code that official models say in a pause; how alike others are to it tells where a stream may be cut.
MUTE_CODE = 486
#: A cut needs this many codes behind it, so that a pause is seen whole (official rule).
CODES_BEHIND_CUT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """What to say: `phones` X int64 (the prompt's, then the target's), at most `most` codes.

    `prompt`: P int64, codes to continue. `bert`: bert_dim x X. `generator` lives on the CPU and belongs to this
    utterance alone. `adapters`: of the voice, None = the model as it is; utterances of one batch may have different
    ones. Raises ValueError when there is nothing to say.
    """

    phones: Tensor
    generator: torch.Generator
    sampling: Sampling
    most: int
    prompt: Tensor | None = None
    bert: Tensor | None = None
    adapters: SemanticAdapters | None = None

    def __post_init__(self) -> None:
        if self.phones.ndim != 1 or self.phones.shape[0] == 0:
            raise ValueError("an utterance takes one non-empty row of phones")
        if self.prompt is not None and self.prompt.ndim != 1:
            raise ValueError("a prompt is one row of codes")
        if self.bert is not None and (self.bert.ndim != 2 or self.bert.shape[1] != self.phones.shape[0]):
            raise ValueError("bert must have one column for each phone")


@dataclass(frozen=True, slots=True)
class Decoded:
    """`codes`: N int64, without prompt and end mark. `ended`: True when the model stopped by itself, False at the
    bound."""

    codes: Tensor
    ended: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream: `codes` N int64 (the last piece may be empty); `final`: nothing follows; `ended`: see
    `Decoded`, known with the final piece."""

    codes: Tensor
    final: bool
    ended: bool = False


def prepare(model: Text2Semantic, precision: str = "float32") -> Runner:
    """A copy of the model packed for fast decoding on a CPU, for `decode`, `decode_batch` and `decode_stream`.

    precision "float32" differs from the module by rounding only (about 1e-5 of a score); "bfloat16" keeps weights and
    caches in bfloat16, "int8" weights in 8 bits. Later changes to the model are not seen. Raises EngineError
    ("bad_precision").
    """
    return PackedRunner(model, precision)


def code_bound(target_phones: int, prompt_phones: int = 0, prompt_codes: int = 0) -> int:
    """Most codes that `target_phones` phones may take; the reason why babble cannot be endless.

    With a prompt its own pace counts (times a tolerance), never more than the slowest speech that training admits.
    """
    pace = MOST_CODES_PER_PHONE
    if prompt_phones > 0 and prompt_codes > 0:
        pace = min(pace, PACE_TOLERANCE * prompt_codes / prompt_phones)
    return min(MOST_CODES, SLACK_CODES + math.ceil(pace * target_phones))


def decode(
    model: Text2Semantic | Runner,
    phones: Tensor,
    *,
    generator: torch.Generator,
    sampling: Sampling,
    most: int,
    prompt: Tensor | None = None,
    bert: Tensor | None = None,
    progress: Callable[[int], None] | None = None,
    compat: bool = False,
) -> Decoded:
    """Say `phones` (1 x X: the prompt's phones, then the target's) as codes that continue `prompt` (1 x P or None).

    bert 1 x bert_dim x X. At most `most` codes. Stops when the end mark is drawn or is the best score after the
    penalty, even undrawn. progress(n) is called after every code. Every predicted code is kept; with `compat` the first
    is lost when the limit ended a prompted decoding, as in the official one-by-one path.
    """
    if phones.shape[0] != 1 or phones.shape[1] == 0:
        raise ValueError("decode takes one non-empty row of phones")
    row = Utterance(
        phones[0],
        generator,
        sampling,
        most,
        prompt=None if prompt is None else prompt[0],
        bert=None if bert is None else bert[0],
    )
    (decoded,) = _collect(model, [row], progress)
    return official_result(decoded, prompted=prompt is not None, batched=False) if compat else decoded


def decode_batch(
    model: Text2Semantic | Runner,
    utterances: Sequence[Utterance],
    *,
    compat: bool = False,
    progress: Callable[[int], None] | None = None,
    patience: float | None = None,
) -> list[Decoded]:
    """Say many utterances together, each exactly as alone; finished ones leave the batch.

    progress(n): codes so far, of all together. With `compat` the last code is lost where the limit ended a prompted
    decoding, as in the official batched path. `patience`, at least 1, is for readings of one text of which one is
    wanted: when half of them have ended by themselves, the others get this many times as long in all and are then cut,
    as at their bound.
    """
    decoded = _collect(model, utterances, progress, patience)
    if not compat:
        return decoded
    pairs = zip(decoded, utterances, strict=True)
    return [official_result(d, prompted=u.prompt is not None, batched=True) for d, u in pairs]


def official_result(decoded: Decoded, *, prompted: bool, batched: bool) -> Decoded:
    """What the official service keeps of a decoding: one code less where the limit ended a prompted one, the first of
    one by one, the last of a batch."""
    if decoded.ended or not prompted:
        return decoded
    return Decoded(decoded.codes[:-1] if batched else decoded.codes[1:], False)


def decode_stream(
    model: Text2Semantic | Runner,
    utterance: Utterance,
    *,
    chunk: int,
    mute: Tensor | None = None,
    threshold: float = 0.0,
    compat: bool = False,
) -> Iterator[Chunk]:
    """Say an utterance in pieces of at least `chunk` codes; nothing is computed before it is asked for.

    Without `mute` every piece but the last has exactly `chunk` codes. With it (V float32, see `mute_similarity`) a
    piece ends where two neighbouring codes are most alike to the pause code, among those above `threshold`. The
    official code says what follows such a cut twice (once in each piece); `compat` keeps that. Raises ValueError when
    `chunk` is not positive.
    """
    if chunk < 1:
        raise ValueError("a chunk has at least one code")
    device = utterance.phones.device
    waiting: list[int] = []

    def piece(codes: list[int]) -> Tensor:
        return torch.tensor(codes, dtype=torch.long, device=device)

    ended = False
    for number, ((_, code),) in enumerate(speak(_runner(model), [utterance]), start=1):
        if code is None:
            ended = True
            break
        waiting.append(code)
        if number == utterance.most:
            break
        if mute is None:
            cut = chunk if len(waiting) >= chunk else 0
        else:
            cut = _pause(mute, waiting, threshold, chunk) if len(waiting) >= chunk + CODES_BEHIND_CUT else 0
        if cut:
            yield Chunk(piece(waiting if compat else waiting[:cut]), False)
            waiting = waiting[cut:]
    yield Chunk(piece(waiting), True, ended)


def mute_similarity(model: Text2Semantic, code: int = MUTE_CODE) -> Tensor:
    """Cosine of every code's embedding to that of the pause code: V float32, -1..1. Official models pause with 486."""
    table = model.ar_audio_embedding.word_embeddings.weight.detach().float()
    return torch.nn.functional.cosine_similarity(table, table[code][None], dim=1)


def _pause(mute: Tensor, codes: Sequence[int], threshold: float, chunk: int) -> int:
    """How many of the codes end in a pause, or 0. Neighbours are summed; what lies below the threshold counts -1."""
    score = mute[torch.tensor(codes, device=mute.device)] - threshold
    score = torch.where(score < 0, torch.full_like(score, -1.0), score)
    score[:-1] = score[:-1] + score[1:]
    best = int(score.argmax())
    return best + 1 if float(score[best]) >= 0 and best + 1 >= chunk else 0


def _runner(model: Text2Semantic | Runner) -> Runner:
    if isinstance(model, Text2Semantic):
        return PlainRunner(model)
    return model


def _collect(
    model: Text2Semantic | Runner,
    utterances: Sequence[Utterance],
    progress: Callable[[int], None] | None,
    patience: float | None = None,
) -> list[Decoded]:
    codes: list[list[int]] = [[] for _ in utterances]
    ended = [False] * len(utterances)
    last = math.inf
    for number, step in enumerate(speak(_runner(model), utterances), start=1):
        for index, code in step:
            if code is None:
                ended[index] = True
            else:
                codes[index].append(code)
        if progress is not None and any(code is not None for _, code in step):
            progress(sum(map(len, codes)))
        if patience is not None and last == math.inf and 2 * sum(ended) >= len(utterances):
            last = patience * number
        if number >= last:
            break
    return [
        Decoded(torch.tensor(said, dtype=torch.long, device=u.phones.device), done)
        for said, done, u in zip(codes, ended, utterances, strict=True)
    ]


@dataclass(slots=True)
class Row:
    """An utterance under way. `seen`: V bool, what the penalty counts."""

    index: int
    utterance: Utterance
    state: State
    seen: Tensor


@torch.inference_mode()
def _begin(runner: Runner, utterances: Sequence[Utterance]) -> tuple[list[Row], Tensor]:
    """Read all utterances that may say something -> rows and their first scores, B x V."""
    rows, scores = [], []
    for index, utterance in enumerate(utterances):
        if utterance.most < 1:
            continue
        device = runner.device
        prompt = utterance.prompt
        prompt = torch.empty(0, dtype=torch.long) if prompt is None else prompt
        prompt = prompt.to(device)
        bert = None if utterance.bert is None else utterance.bert.to(device)
        state, first = runner.begin(utterance.phones.to(device), prompt, bert, utterance.most, utterance.adapters)
        seen = torch.zeros(first.shape[0], dtype=torch.bool, device=first.device)
        seen[prompt] = True
        rows.append(Row(index, utterance, state, seen))
        scores.append(first)
    return rows, torch.stack(scores) if scores else torch.empty(0, 0)


@torch.inference_mode()
def choose(rows: Sequence[Row], scores: Tensor, step: int, end: int) -> list[int | None]:
    """One code for each row, None = the end; B x V scores of the step's number `step`.

    Marks what was chosen as seen. Rows with equal parameters are computed together; each draws from its own generator.
    """
    if step < STEPS_WITHOUT_END:
        scores = scores[:, :end]
    groups: dict[Sampling, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row.utterance.sampling, []).append(place)
    chosen: list[int | None] = [None] * len(rows)
    for sampling, places in groups.items():
        some = scores if len(places) == len(rows) else scores[places]
        if sampling.repetition_penalty != 1.0:
            seen = torch.stack([rows[place].seen for place in places])[:, : some.shape[1]]
            some = penalise_seen(some, seen, sampling.repetition_penalty)
        chances = probabilities(some, sampling)
        drawn = torch.cat([draw(chances[n : n + 1], rows[place].utterance.generator) for n, place in enumerate(places)])
        for place, code, best in zip(places, drawn.tolist(), some.argmax(-1).tolist(), strict=True):
            if code != end and best != end:
                chosen[place] = code
                rows[place].seen[code] = True
    return chosen


def speak(runner: Runner, utterances: Sequence[Utterance]) -> Iterator[list[tuple[int, int | None]]]:
    """Step by step: for each utterance still speaking its number and its new code, None at its end."""
    rows, scores = _begin(runner, utterances)
    step = 0
    while rows:
        chosen = choose(rows, scores, step, runner.config.eos)
        yield [(row.index, code) for row, code in zip(rows, chosen, strict=True)]
        step += 1
        left = [n for n, row in enumerate(rows) if chosen[n] is not None and step < row.utterance.most]
        rows = [rows[n] for n in left]
        if rows:
            codes = torch.tensor([chosen[n] for n in left], device=runner.device)
            scores = runner.advance([row.state for row in rows], codes)
