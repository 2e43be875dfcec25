"""The corpus on disk: numbered shards, each a function of its number alone, so that any number of processes can make
them in any order and stop at any time. One safetensors file each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from cloning.engine.starter import corpus, texts
from cloning.engine.starter.items import TimedItem
from cloning.engine.starter.items import item as starter_item
from cloning.engine.training.base import Base
from demo.flite.speaker import speak_timed
from demo.starter import mandarin

TRAIN_VOICES = ("slt", "rms", "kal16")
#: Never trained on.
JUDGE_VOICE = "awb"
SPEAKERS_PER_VOICE = 60
#: Utterances of a shard: about twenty minutes.
SHARD = 300
#: Seeds of what is drawn, by the kind of shard.
SEEDS = {"train": 101, "held_out": 102, "judge": 103, "zh_train": 104, "zh_held_out": 105, "zh_judge": 106}
#: Kinds of this prefix are Mandarin.
ZH = "zh_"


def speakers(kind: str) -> list[corpus.VirtualSpeaker]:
    """The virtual speakers of a kind of shard; held-out ones are new warps of the trained voices."""
    rng = np.random.default_rng(SEEDS[kind])
    if kind.startswith(ZH):
        return mandarin.speakers(kind == "zh_judge", rng)
    voices = (JUDGE_VOICE,) if kind == "judge" else TRAIN_VOICES
    return [s for voice in voices for s in corpus.virtual_speakers(voice, SPEAKERS_PER_VOICE, rng)]


def spoken(kind: str, index: int, count: int = SHARD) -> list[corpus.Utterance]:
    """The utterances of shard `index`."""
    rng = np.random.default_rng((SEEDS[kind], index))
    pool = speakers(kind)
    return [
        corpus.utter(speak_timed, texts.text(rng), pool[int(rng.integers(len(pool)))]) for _ in range(count)
    ]  # fmt: skip


def spoken_mandarin(kind: str, index: int, timer: mandarin.Timer, count: int = SHARD) -> list[corpus.Utterance]:
    """The same of Mandarin, whose phone times `timer` tells; an utterance that it cannot time is left out."""
    rng = np.random.default_rng((SEEDS[kind], index))
    made = mandarin.spoken_texts(rng, speakers(kind), count)
    return [timed for one in made if (timed := timer.timed(one)) is not None]


def write_utterances(path: Path, utterances: Sequence[corpus.Utterance]) -> None:
    about = [[u.text, u.speaker.voice, u.speaker.formants, u.speaker.pitch, u.speaker.tempo] for u in utterances]
    _write(
        path,
        {
            "wave": np.concatenate([u.wave for u in utterances]),
            "wave_at": np.cumsum([len(u.wave) for u in utterances]),
            "phones": np.concatenate([u.phones for u in utterances]),
            "ends": np.concatenate([u.ends for u in utterances]),
            "phones_at": np.cumsum([len(u.phones) for u in utterances]),
        },
        about,
    )


def read_utterances(path: Path) -> list[corpus.Utterance]:
    tensors, about = _read(path)
    waves = _split(tensors["wave"], tensors["wave_at"])
    phones = _split(tensors["phones"], tensors["phones_at"])
    ends = _split(tensors["ends"], tensors["phones_at"])
    return [
        corpus.Utterance(text, corpus.VirtualSpeaker(*warp), w.numpy(), p.numpy(), e.numpy())
        for (text, *warp), w, p, e in zip(about, waves, phones, ends, strict=True)
    ]


def write_items(path: Path, items: Sequence[TimedItem]) -> None:
    """Waves are kept as 16-bit integers."""
    targets = [i.phone_targets for i in items if i.phone_targets is not None]
    _write(
        path,
        {
            "wave": np.concatenate([(i.wave.numpy() * 32767).astype(np.int16) for i in items]),
            "wave_at": np.cumsum([len(i.wave) for i in items]),
            "codes": np.concatenate([i.codes.numpy() for i in items]).astype(np.int16),
            "places": np.concatenate([i.places.numpy() for i in items]).astype(np.int16),
            "targets": np.concatenate([t.numpy() for t in targets]).astype(np.int16),
            "codes_at": np.cumsum([len(i.codes) for i in items]),
            "phones": np.concatenate([i.phones.numpy() for i in items]).astype(np.int16),
            "phones_at": np.cumsum([len(i.phones) for i in items]),
        },
        [i.speaker for i in items],
    )


def read_items(paths: Iterable[Path]) -> list[TimedItem]:
    """Items of several shards. Their waves stay int16 and on the disk until they are used (see `stages.sounding`)."""
    out: list[TimedItem] = []
    for path in paths:
        tensors, names = _read(path)
        waves = _split(tensors["wave"], tensors["wave_at"])
        codes, places, targets = (
            _split(tensors[name].long(), tensors["codes_at"]) for name in ("codes", "places", "targets")
        )
        phones = _split(tensors["phones"].long(), tensors["phones_at"])
        out += [
            TimedItem(w, c, p, True, name, t, places=a)
            for name, w, c, p, t, a in zip(names, waves, codes, phones, targets, places, strict=True)
        ]
    return out


def make(
    work: Path,
    kind: str,
    index: int,
    base: Base | None,
    count: int = SHARD,
    timer: Callable[[], mandarin.Timer] | None = None,
) -> bool:
    """Make the shard's speech, and with a base its items; False where they are there already. `timer`: for Mandarin."""
    speech, items = work / "speech" / f"{kind}-{index:04d}.st", work / "items" / f"{kind}-{index:04d}.st"
    if speech.exists() and (base is None or items.exists()):
        return False
    if not speech.exists():
        if kind.startswith(ZH):
            if timer is None:
                raise ValueError(f"{speech} cannot be made without what tells its phone times")
            write_utterances(speech, spoken_mandarin(kind, index, timer(), count))
        else:
            write_utterances(speech, spoken(kind, index, count))
    if base is not None and not items.exists():
        encoder = base.build_content()
        made = [
            starter_item(u, config=base.config, encoder=encoder, codebook=base.codebook)
            for u in read_utterances(speech)
        ]
        write_items(items, [item for item in made if item is not None])
    return True


def paths(work: Path, kind: str) -> list[Path]:
    """The item files of a kind that are there, in order."""
    return sorted((work / "items").glob(f"{kind}-*.st"))


def _write(path: Path, arrays: dict[str, np.ndarray], about: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    save_file(tensors, fresh, metadata={"about": json.dumps(about)})
    fresh.replace(path)


def _read(path: Path) -> tuple[dict[str, Tensor], Any]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["about"])  # noqa: SIM118


def _split(values: Tensor, ends: Tensor) -> list[Tensor]:
    return list(values.tensor_split(ends[:-1].tolist()))
