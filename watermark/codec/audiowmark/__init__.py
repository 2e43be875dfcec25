"""A mark that the program ``audiowmark`` (0.6) reads, and a reader of its marks, written from the published algorithm.

For long narrations, beside our own mark: a block is 51.7 s, so that short speech is better served by ours. 128-bit
mode. Not here: the deprecated short payloads, the search for changed speed, HLS.
"""

from watermark.codec.audiowmark.convolution import BadMessage, message_bytes
from watermark.codec.audiowmark.embed import DEFAULT_STRENGTH, STRENGTHS, embed, to_pcm16
from watermark.codec.audiowmark.ids import Traced, message_of, ours, payload_of
from watermark.codec.audiowmark.keys import BadKeyFile, Key, key_file, parse_key_file
from watermark.codec.audiowmark.program import Program, ProgramFailed, ProgramMissing
from watermark.codec.audiowmark.read import Candidate, read
from watermark.codec.audiowmark.report import BadReport, report

__all__ = [
    "DEFAULT_STRENGTH",
    "STRENGTHS",
    "BadKeyFile",
    "BadMessage",
    "BadReport",
    "Candidate",
    "Key",
    "Program",
    "ProgramFailed",
    "ProgramMissing",
    "Traced",
    "embed",
    "key_file",
    "message_bytes",
    "message_of",
    "ours",
    "parse_key_file",
    "payload_of",
    "read",
    "report",
    "to_pcm16",
]
