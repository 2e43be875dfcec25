"""The convolutional code over the 128 bits: rate 1/6 in each block, 1/12 over an A and a B block together.

Fifteen-bit register, twelve generator polynomials, fifteen zero tail bits; A blocks carry the even generators and B
blocks the odd ones. Decoded by Viterbi's algorithm (Viterbi 1967) with squared distances.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Bits of a message.
MESSAGE_BITS = 128
#: Bits in the register; as many zero bits follow the message and clear it.
REGISTER_BITS = 15
#: Generators as the code's table has them, octal.
GENERATORS = (
    0o66561, 0o75211, 0o71545, 0o54435, 0o63635, 0o52475, 0o63543, 0o75307, 0o52547, 0o45627, 0o67657, 0o51757,
)  # fmt: skip
#: Steps through the register for one message.
STEPS = MESSAGE_BITS + REGISTER_BITS
#: Coded bits of one block.
BLOCK_BITS = STEPS * len(GENERATORS) // 2
#: Generators by kind of block; "AB" is both blocks together, a0 b0 a1 b1 and so on.
KINDS = {"A": GENERATORS[0::2], "B": GENERATORS[1::2], "AB": GENERATORS}

_STATES = 1 << REGISTER_BITS
_HALF = _STATES // 2


class BadMessage(ValueError):
    """The message is not 128 bits, or not written as 1 to 32 hex digits."""


def message_bytes(text: str) -> bytes:
    """The 16 bytes of a message written in hex; a shorter one is repeated until it fills them, as the stock tool does.

    Raises BadMessage unless the digits are 1 to 32 and divide 32 evenly.
    """
    digits = MESSAGE_BITS // 4
    if not 0 < len(text) <= digits or digits % len(text) or any(c not in "0123456789abcdefABCDEF" for c in text):
        raise BadMessage(f"a message is 1 to {digits} hex digits, and their number divides {digits}")
    return bytes.fromhex(text * (digits // len(text)))


def encode(message: bytes, kind: str) -> NDArray[np.uint8]:
    """Coded bits (858,) of a block of ``kind`` "A" or "B", or (1716,) of "AB". Raises BadMessage."""
    if not isinstance(message, bytes) or len(message) * 8 != MESSAGE_BITS:
        raise BadMessage(f"a message is {MESSAGE_BITS // 8} bytes")
    bits = np.unpackbits(np.frombuffer(message, np.uint8)).tolist() + [0] * REGISTER_BITS
    register, out = 0, []
    for bit in bits:
        register = (register << 1 | bit) & (_STATES - 1)
        out += [(register & generator).bit_count() & 1 for generator in KINDS[kind]]
    return np.array(out, np.uint8)


@lru_cache(maxsize=3)
def _outputs(kind: str) -> NDArray[np.intp]:
    """(32768,): the code bits of each register state as one number, first generator in the lowest bit."""
    states = np.arange(_STATES, dtype=np.uint32)
    out = np.zeros(_STATES, np.intp)
    for i, generator in enumerate(KINDS[kind]):
        out |= (np.bitwise_count(states & np.uint32(generator)) & 1).astype(np.intp) << i
    return out


def decode(soft: NDArray[np.float64], kind: str) -> tuple[bytes, float]:
    """The likeliest message for soft bits (0 .. 1 about; (858,) or (1716,)), and its error: squared distance a bit.

    About 0.03 on a clean block, 0.25 where nothing is known of the bits, 0.35 and more where there is no mark.
    """
    rate = len(KINDS[kind])
    steps = np.asarray(soft, np.float64).reshape(STEPS, rate)
    patterns = (np.arange(1 << rate)[:, None] >> np.arange(rate)) & 1  # (2**rate, rate)
    outputs = _outputs(kind)
    metric = np.full(_STATES, np.inf, np.float32)
    metric[0] = 0
    took_upper = np.empty((STEPS, _HALF), bool)
    for step, values in enumerate(steps):
        distance = (values**2).sum() + patterns @ (1 - 2 * values)
        # The bit that leaves the register has no part in the new state: two states lead to each half-state.
        lower, upper = metric[:_HALF], metric[_HALF:]
        np.less(upper, lower, out=took_upper[step])
        metric = np.repeat(np.minimum(lower, upper), 2) + distance.astype(np.float32)[outputs]
    state, bits = 0, np.empty(STEPS, np.uint8)
    for step in range(STEPS - 1, -1, -1):
        bits[step] = state & 1
        half = state >> 1
        state = half | (_HALF if took_upper[step, half] else 0)
    return np.packbits(bits[:MESSAGE_BITS]).tobytes(), float(metric[0]) / soft.size
