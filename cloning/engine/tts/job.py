"""One request made ready: sentences, prompt and style, before any code is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cloning.engine.errors import EngineError
from cloning.engine.synthesis import check_language
from cloning.engine.tts.flow import Flow, Prompt, check_request, prepared_flow
from cloning.engine.tts.references import Listener, References, content_of
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.sentences import Prosody, Reader, Sentence, all_overrides, joined_bert
from cloning.engine.tts.voice import LoadedVoice

if TYPE_CHECKING:
    from cloning.engine.text.polyphones import Polyphones
    from cloning.engine.vocoders.mounted import Vocoders

#: A generator takes seeds below this.
SEEDS = 2**63


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a request needs to be spoken. `style` 1 x G x 1; `flow`: what v3 and v4 continue, and their vocoder.
    Nothing in it changes."""

    voice: LoadedVoice
    request: TtsRequest
    sentences: list[Sentence]
    prompt: Prompt | None
    style: Tensor
    notes: tuple[str, ...]
    flow: Flow | None = None

    @property
    def compat(self) -> bool:
        return self.request.compat == "upstream"

    @property
    def rate(self) -> int:
        """Of the sound, in Hz."""
        return self.voice.audio.sample_rate if self.flow is None else self.flow.vocoder.sample_rate

    def phones(self, sentence: Sentence) -> Tensor:
        """What S1 reads for the sentence: the prompt's phones and then its own, X int64."""
        if self.prompt is None:
            return sentence.phones
        return torch.cat((self.prompt.sentence.phones, sentence.phones))

    def bert(self, sentence: Sentence) -> Tensor | None:
        """BERT features beside `phones`, bert_dim x X, None when there are none or the voice takes none."""
        if not self.voice.semantic_config.bert_dim:
            return None
        return sentence.bert if self.prompt is None else joined_bert(self.prompt.sentence, sentence)

    def generator(self, *path: int) -> torch.Generator:
        """The randomness of one step of the request. Steps do not share any, so that how many sentences are read at
        once, or in which order, changes nothing."""
        text = "/".join(str(part) for part in (self.request.seed, *path))
        digest = hashlib.sha256(text.encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") % SEEDS)


def prepare(
    voice: LoadedVoice,
    request: TtsRequest,
    references: References,
    listener: Listener | None,
    prosody: Prosody | None,
    polyphones: Polyphones | None = None,
    vocoders: Vocoders | None = None,
) -> Job:
    """Reads text and references. Raises TextError (`unsupported_language` too, for a language that a starter voice has
    never heard: its symbol table knows it, and it would babble), ReferenceRefused, CheckpointError (a model that is not
    mounted) and EngineError `no_reference`, `no_listener`; for v3 and v4 also `no_vocoder`, `needs_prompt`,
    `one_reference`, `reference_too_short`."""
    if voice.flow is not None:
        check_request(voice, request, vocoders)
    compat = request.compat == "upstream"
    check_language(voice.version, voice.semantic_config.codes, request.text_lang.lower())
    overrides = all_overrides(voice.manner.overrides, request.overrides, voice.table)
    reader = Reader(
        table=voice.table,
        phonemes=voice.phonemes,
        overrides=overrides,
        prosody=prosody if voice.semantic_config.bert_dim else None,
        compat=compat,
        polyphones=polyphones,
    )
    sentences = reader.sentences(request.text, request.text_lang, request.text_split_method)
    prompt, style = _reference(voice, request, references, listener, reader)
    read = sentences if prompt is None else [*sentences, prompt.sentence]
    notes = {note for sentence in read for note in sentence.notes}
    flow = None
    if voice.flow is not None and vocoders is not None:
        recording = next(iter(_recordings(voice, request)), None)
        flow = prepared_flow(voice, request, references, recording, prompt, style, vocoders)
    return Job(voice, request, sentences, prompt, style, tuple(sorted(notes)), flow)


def _recordings(voice: LoadedVoice, request: TtsRequest) -> list[bytes]:
    """The reference recording and those that are blended with it, the request's or the voice's; [] for neither."""
    if request.ref_audio_path is not None:
        return [content_of(one) for one in (request.ref_audio_path, *request.aux_ref_audio_paths)]
    return [] if voice.manner.reference is None else [voice.manner.reference, *voice.manner.extra]


def _reference(
    voice: LoadedVoice, request: TtsRequest, references: References, listener: Listener | None, reader: Reader
) -> tuple[Prompt | None, Tensor]:
    compat, manner = reader.compat, voice.manner
    recordings = _recordings(voice, request)
    if request.ref_audio_path is not None:
        text, language = request.prompt_text or "", request.prompt_lang or ""
    elif manner.reference is not None:
        text = manner.prompt_text if request.prompt_text is None else ""
        language = manner.prompt_lang
    elif voice.kept is not None:
        kept = voice.kept
        if request.prompt_text is not None or not kept.codes.numel():
            return None, kept.style.float()
        return Prompt(Sentence(kept.phones, None, "", ()), kept.codes), kept.style.float()
    else:
        raise EngineError("no_reference", "neither the request nor the voice has a reference recording")
    if voice.version == "starter":
        raise EngineError("no_listener", "a starter voice speaks like the reference it keeps, not like another one")
    if listener is None:
        raise EngineError("no_listener", "a reference recording needs the models folder, which is not mounted")
    if voice.flow is not None:
        recordings = recordings[:1]  # upstream's v3 and v4 know one reference; without its quirks more are refused
    style = references.style(voice, recordings, listener, compat=compat)
    if not text.strip():
        return None, style
    codes = references.codes(voice, recordings[0], listener, compat=compat)
    key = (
        text,
        language,
        reader.table,
        compat,
        reader.prosody is None,
        reader.polyphones is None,
        _frozen(reader.overrides),
    )
    sentence = references.prompt(key, lambda: reader.prompt(text, language))
    return Prompt(sentence, codes), style


def _frozen(overrides: Mapping[str, Mapping[str, object]]) -> str:
    return repr(sorted((language, sorted(words.items())) for language, words in overrides.items()))
