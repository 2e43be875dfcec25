"""A secret rotation for speaker embeddings that are searched: cancelable biometrics without a loss.

A template is kept as ``R e``: the unit embedding ``e`` turned by an orthonormal matrix ``R`` that only the holder of a
32-byte secret can make. Two embeddings turned alike keep their cosine, so the search is exactly as accurate as without
(binarised templates, the usual alternative, would add a standard error of about 0.024 to a cosine of 0.8 at 1,024
bits). Turned under different secrets they have nothing to do with each other: a list that leaked cannot be compared
with a recording, with another platform's list, or with this one after a change of the secret.

What it does not do: within one list equal voices stay recognisable as equal, and whoever knows as many templates with
their embeddings as an embedding has numbers can solve for ``R``. Templates are therefore sealed besides.

The matrix: standard normal entries from SHAKE-256 over the secret, then QR with the signs of its diagonal, which is
uniform over the orthogonal group (Mezzadri, "How to generate random matrices from the classical compact groups",
Notices of the AMS 54, 2007).
"""

import hashlib
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

MAX_DIMENSIONS: Final = 1024
SECRET_BYTES: Final = 32
_LABEL: Final = b"vouch/search-projection/1/"


def rotation(secret: bytes, dimensions: int) -> "np.ndarray":
    """``R``, float64 (dimensions, dimensions): ``R @ e`` projects, ``R.T @ p`` takes it back.

    Raises ValueError for a secret or size out of bounds.
    """
    import numpy as np

    if len(secret) != SECRET_BYTES or not 0 < dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"{SECRET_BYTES} secret bytes and 1 to {MAX_DIMENSIONS} dimensions")
    count = dimensions * dimensions
    stream = hashlib.shake_256(_LABEL + dimensions.to_bytes(4, "big") + secret).digest(16 * count)
    bits = np.frombuffer(stream, dtype="<u8").reshape(2, count) >> np.uint64(11)
    first, second = (bits + 0.5) / 2.0**53  # uniform between 0 and 1, never at an end
    normal = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * math.pi * second)  # Box and Muller 1958
    q, r = np.linalg.qr(normal.reshape(dimensions, dimensions))
    return np.asarray(q * np.sign(np.diag(r)))
