"""What a worker that speaks reads before anybody waits for it: torch, the starter base, reader, mark, judge, policy.

A worker's first text used to wait some ten seconds for all that. Now its process says a few words to itself when it
begins: a voice of the base after noise, nobody's, through engine, label and mark, and all of it is thrown away. That
happens in the child (torch and its threads do not survive a fork) and beside the start, which Celery times. Texts that
come meanwhile wait for it (`wait`), or two threads would import the same packages. What fails here is logged and no
more: the first text then reads for itself, and says what is wrong.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

from django.db import connection

if TYPE_CHECKING:
    from watermark.stream import StreamSeal

logger = logging.getLogger("cloning.preload")

READY: Final = "ready to speak after %.1f s"
"""What is logged; the bench waits for it."""
LONGEST_SECONDS: Final = 60.0
"""How long a text waits for what is being read. It goes on by itself then, as it would have without any of this."""
_RATE: Final = 32_000
_read = threading.Event()
_read.set()


def begin() -> None:
    """Reads it all in a thread of this process."""
    _read.clear()
    threading.Thread(target=_run, name="preload", daemon=True).start()


def wait() -> None:
    """Returns when what is being read is read, at once where nothing is."""
    _read.wait(LONGEST_SECONDS)


def _run() -> None:
    began = time.monotonic()
    try:
        load()
        logger.info(READY, time.monotonic() - began)
    except Exception:  # whatever it is, the worker works on
        logger.exception("could not be read ahead; the first text will be slow")
    finally:
        connection.close()  # this thread's own; the one that speaks has another
        _read.set()


def load() -> None:
    """Reads and runs once what speaking with a starter voice takes. Raises whatever is missing."""
    import numpy as np
    import torch
    from django.conf import settings

    from cloning import speaking, streaming  # noqa: F401 - what they import in turn
    from cloning.engine.pieces import ReadyVoice
    from cloning.engine.synthesis import SpeechRequest
    from cloning.engine.training.zero_shot import instant_voice
    from consent.biometrics import speaker
    from safety.policy import decisions

    torch.set_num_threads(settings.VOUCH_TRAINING_THREADS)
    noise = np.random.default_rng(0).normal(0.0, 0.1, 3 * _RATE).astype(np.float32)
    ready = ReadyVoice(instant_voice(None, noise, _RATE, None, "en"))
    seal = _seal(ready.rate)
    seal.begin()
    for piece in ready.pieces(SpeechRequest(text="One, two, three.", language="en", seed=0)):
        seal.push(piece.pcm)
    speaker.warm()
    decisions.read_ahead()


def _seal(rate: int) -> StreamSeal:
    """A seal with a key of its own, that no finished file will come from: it signs nothing."""
    from django.conf import settings

    from foundation.clock import now
    from watermark.labels.manifest import Credential
    from watermark.labels.profile import load_profile
    from watermark.stream import StreamSeal

    return StreamSeal(
        rate,
        payload=1,
        mark_key=secrets.token_bytes(32),
        label_profile=load_profile(settings.VOUCH_LABEL_PROFILE),
        language="en",
        content_id="none",
        provider_code=settings.VOUCH_PROVIDER_CODE,
        created=now(),
        sign=_never,
        verify=_never,
        credential=Credential(private_key="", chain="", roots=""),
        rehearsal=True,
    )


def _never(*_: object) -> NoReturn:
    raise AssertionError("nothing made ahead is signed")
