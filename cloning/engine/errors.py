"""The engine's refusals. Each carries a short stable `code` for programs and a sentence for people."""

from __future__ import annotations


class EngineError(Exception):
    """Base of every refusal of the engine.

    `code` is a stable lower-case word such as `unsupported_language`; `message` is one plain sentence.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ConfigError(EngineError):
    """A model description is unknown, out of range or contradicts itself."""


class TextError(EngineError):
    """The text cannot be spoken: empty, too long, hostile characters, unsupported language."""


class CheckpointError(EngineError):
    """An official weight file was refused: too large, not the format, wrong keys, shapes or values."""


class VoiceFileError(EngineError):
    """The bytes of a voice were refused: too large, damaged, wrong tensors, not finite."""


class SynthesisFailed(EngineError):
    """Synthesis ran but gave nothing that may be called speech: silence, not finite, no codes."""


class TrainingRefused(EngineError):
    """The material cannot train a voice: too little speech, silence, unusable transcript."""


class TrainingFailed(EngineError):
    """Training started and could not be finished: values stopped being finite, or it was told to stop."""
