"""The mounted bases in a worker: read when first needed, kept by the process. Imports the engine only when asked."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from cloning.bases import check_version

if TYPE_CHECKING:
    from cloning.engine.tts.deployed import Deployed


def deployed(version: str) -> Deployed:
    """What trains and speaks voices of the version. Raises VersionUnknown, VersionNotOffered, BaseIncomplete."""
    check_version(version)
    return _deployed(settings.VOUCH_BASES)


@functools.lru_cache(maxsize=1)
def _deployed(folder: Path) -> Deployed:
    from cloning.engine.training.quick import available
    from cloning.engine.tts.deployed import Deployed
    from cloning.engine.tts.voice import Precision

    # S2 in half precision where the processor computes in it (docs/performance.md has the difference in the sound).
    return Deployed(folder, precision=Precision(acoustic="bfloat16" if available("cpu") else "float32"))
