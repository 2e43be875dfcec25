"""A voice at once, without training: the base's models, and prompt and style of one reference (zero-shot).

It speaks while its fine-tune waits for its turn; the style is immediate, habits of speech come with the training.
"""

from __future__ import annotations

import numpy as np
import torch

from cloning.engine.errors import TextError, TrainingRefused
from cloning.engine.features import audio
from cloning.engine.text import to_phones
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.prepare import PHONES_PER_SECOND, Item, Material, encode, trim
from cloning.engine.training.voice import reference
from cloning.engine.voicefile import Voice

#: Shortest audible speech in a reference, and longest reference, in seconds.
LEAST_SECONDS, MOST_SECONDS = 2.0, 30.0


def instant_voice(
    base: Base | None,
    reference_wave: np.ndarray,
    rate: int,
    transcript: str | None,
    language: str,
    *,
    hearing: OfficialHearing | None = None,
) -> Voice:
    """The base speaking like one recording of 2 to 30 s, usable at once with `synthesise` or `voicefile.pack`.

    base None: the shipped starter base. `reference_wave`: (samples,) or (samples, channels), float or int16, at `rate`
    Hz. `transcript` None: the style alone, no prompt; a starter voice keeps no prompt in any case. `hearing`: needed by
    an official base. Raises TrainingRefused: `no_models`, `no_weights` (the base has no models to speak with),
    `bad_audio`, `silence`, `too_little_speech`, `too_much`, `bad_transcript`; TextError `unsupported_language`.
    """
    base = base or starter_base()
    if base.semantic is None or base.acoustic is None:
        raise TrainingRefused("no_weights", "this base has no trained models, so nothing can speak at once")
    if (base.config.content.kind == "hubert") != (hearing is not None):
        raise TrainingRefused("no_models", "an official base needs the mounted encoders, and only an official one")
    item = _item(base, audio.mono(reference_wave), rate, transcript, language, hearing)
    with torch.random.fork_rng(devices=[]):
        semantic, acoustic = base.build_semantic(0).eval(), base.build_acoustic(0).eval()
    voice = Voice(
        config=base.config,
        language=language,
        semantic=semantic.state_dict(),
        acoustic=acoustic.state_dict(),
        # Items without a text have a placeholder for phones, which is no prompt.
        reference=reference(acoustic, Material([item], 0.0, 0.0), base.config.version, prompted=item.has_text),
        base_digest=base.digest,
        training={"reference_seconds": round(len(item.wave) / base.config.audio.sample_rate, 2)},
    )
    return voice.for_speaking()


def _item(
    base: Base, wave: np.ndarray, rate: int, transcript: str | None, language: str, hearing: OfficialHearing | None
) -> Item:
    config = base.config
    target = config.audio.sample_rate
    if len(wave) > MOST_SECONDS * rate:
        raise TrainingRefused("too_much", f"a reference has at most {MOST_SECONDS:.0f} seconds")
    wave, heard = trim(audio.normalise(audio.resample(wave, rate, target)), target)
    if heard == 0:
        raise TrainingRefused("silence", "no speech was found in the reference")
    if heard < LEAST_SECONDS:
        raise TrainingRefused("too_little_speech", f"a reference needs {LEAST_SECONDS:.0f} seconds of speech")
    phones = _phones(transcript, language, hearing) if transcript else None
    if phones is not None and not PHONES_PER_SECOND[0] <= len(phones) * target / len(wave) <= PHONES_PER_SECOND[1]:
        raise TrainingRefused("bad_transcript", "the transcript cannot be what is said in the reference")
    if hearing is None:
        return encode(wave, phones, config=config, encoder=base.build_content(), codebook=base.codebook)
    kept, content_wave = hearing.levelled(wave)
    return Item(
        wave=torch.from_numpy(kept),
        codes=hearing.codes(content_wave),
        phones=torch.tensor(phones or [0]),
        has_text=phones is not None,
        speaker_vector=hearing.speaker(kept),
    )


def _phones(transcript: str, language: str, hearing: OfficialHearing | None) -> list[int]:
    try:
        return to_phones(transcript, language).ids if hearing is None else hearing.read(transcript, language)[0]
    except TextError as error:
        if error.code == "unsupported_language":
            raise
        raise TrainingRefused("bad_transcript", f"the transcript cannot be read: {error.message}") from error
