"""Text to speech as a service: `Synthesiser`, and its sound as the bytes of a file.

    engine = Engine(models=Path("pretrained_models"))
    speech = engine.speak(source(Path("voices/anna")), TtsRequest(text="Hello.", text_lang="en", seed=7))

Nothing is global: a request sees its voice, its seed and nothing else, so the same request gives the same samples
alone or in a crowd, today or tomorrow (on one machine with one number of threads).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import chain

from cloning.engine.tts.encode import encoded, encoded_stream
from cloning.engine.tts.join import to_int16
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.synthesiser import BUDGET as BUDGET
from cloning.engine.tts.synthesiser import Speech as Speech
from cloning.engine.tts.synthesiser import Synthesiser
from cloning.engine.tts.voice import VoiceSource


class Engine(Synthesiser):
    """A synthesiser that writes files of the bare engine, which carry no mark and no label."""

    def encoded(self, voice: VoiceSource, request: TtsRequest) -> Iterator[bytes]:
        """The sound as pieces of one file of the request's media type: one piece for mode 0, else as `stream`."""
        request, compat = request.seeded(), request.compat == "upstream"
        if not request.streaming_mode:
            speech = self.speak(voice, request)
            yield encoded(to_int16(speech.pcm, compat=compat), speech.rate, request.media_type)
            return
        with closing(self.packets(voice, request)) as stream:
            rate, first = next(stream)
            packets = (to_int16(packet, compat=compat) for packet in chain([first], (wave for _, wave in stream)))
            yield from encoded_stream(packets, rate, request.media_type)
