"""English spelling to sound for words no dictionary has: a small GRU encoder and decoder in numpy.

The weights are those published with the g2p-en package (Apache 2.0, Kyubyong Park); only its data file is read, its
code is never imported. GRU as in Cho et al. 2014, gate order reset, update, new.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np

from cloning.engine.errors import EngineError

_LETTERS = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
_START, _STOP = 2, 3
#: The network's output order: four marks, then ARPAbet with stress.
_SOUNDS = str.split(
    "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 "
    "EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH "
    "UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
)
#: The table of symbols has no UW without a stress.
_SAME = {"UW": "UW1"}
#: Sounds of one word at most; longer words are read in parts.
_MOST_SOUNDS = 20
#: Letters read at once: the network has seen ordinary words only.
_MOST_LETTERS = 16


@functools.lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    spec = importlib.util.find_spec("g2p_en")
    if spec is None or spec.origin is None:
        raise EngineError("missing_data", "the letter-to-sound weights of the g2p-en package are not installed")
    with np.load(Path(spec.origin).with_name("checkpoint20.npz"), allow_pickle=False) as data:
        return {name: data[name].astype(np.float32) for name in data.files}


def _step(x: np.ndarray, h: np.ndarray, side: str) -> np.ndarray:
    w = _weights()
    given = w[f"{side}_w_ih"] @ x + w[f"{side}_b_ih"]
    held = w[f"{side}_w_hh"] @ h + w[f"{side}_b_hh"]
    size = len(h)
    gates = 1.0 / (1.0 + np.exp(-(given[: 2 * size] + held[: 2 * size])))
    new = np.tanh(given[2 * size :] + gates[:size] * held[2 * size :])
    update = gates[size:]
    return np.asarray((1 - update) * new + update * h, dtype=np.float32)


@functools.lru_cache(maxsize=4096)
def sound_out(word: str, *, compat: bool = False) -> tuple[str, ...]:
    """Phones (ARPAbet with stress) of a word of letters a..z. A word longer than 16 letters is read in parts.

    `compat`: the network's own answer, as upstream takes it: a word of any length at once and so cut after 20 sounds,
    with the stressless UW and the marks (`<pad> <unk> <s>`) that it may give among the sounds.
    """
    if len(word) > _MOST_LETTERS and not compat:
        middle = len(word) // 2
        return sound_out(word[:middle]) + sound_out(word[middle:])
    w = _weights()
    hidden = np.zeros(w["enc_w_hh"].shape[1], dtype=np.float32)
    for letter in (*word, "</s>"):
        row = _LETTERS.index(letter) if letter in _LETTERS else 1
        hidden = _step(w["enc_emb"][row], hidden, "enc")
    sounds: list[str] = []
    last = _START
    for _ in range(_MOST_SOUNDS):
        hidden = _step(w["dec_emb"][last], hidden, "dec")
        last = int((w["fc_w"] @ hidden + w["fc_b"]).argmax())
        if last == _STOP:
            break
        if compat:
            sounds.append(_SOUNDS[last])
        elif last > _STOP:
            sounds.append(_SAME.get(_SOUNDS[last], _SOUNDS[last]))
    return tuple(sounds)
