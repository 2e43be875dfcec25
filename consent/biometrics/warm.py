"""Load every model once, at worker start, so that no person waits for it and a missing file shows at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from consent.biometrics import recogniser, speaker, speech, spoof
from consent.biometrics.audio import MODEL_RATE

#: Long enough for one partial utterance of the speaker encoder.
_SECONDS: Final = 1.6


def warm() -> dict[str, str]:
    """Load and run all models on silence; return their versions. Raises WeightsMissing or ValueError."""
    silence = np.zeros(int(_SECONDS * MODEL_RATE), dtype=np.float32)
    speech.probabilities(silence)
    recogniser.recognise(silence)
    speaker.warm()
    return {
        "speech": speech.MODEL,
        "words": recogniser.MODEL,
        "speaker": speaker.MODEL,
        "spoof": spoof.detector().version,
    }
