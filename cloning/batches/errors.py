"""What is wrong with a table, a line of it, or a batch: each with its code."""

from foundation.errors import Conflict, NotFound, Refused, TooMany, VouchError


class TableInvalid(Refused):
    """This table cannot be read."""

    code = "table_invalid"


class TableTooLarge(TableInvalid):
    """The table is larger than is read at once."""

    code = "table_too_large"
    advice = "Split it and send the parts as batches of their own."


class TooManyLines(TableInvalid):
    """The table has more lines than one batch takes."""

    code = "too_many_lines"
    advice = "Split it and send the parts as batches of their own."


class EmptyTable(TableInvalid):
    """The table holds no line to speak."""

    code = "empty_table"


class EncodingUnknown(TableInvalid):
    """The table is not UTF-8."""

    code = "not_utf8"
    advice = "Save it as UTF-8 and send it again."


class Utf16Refused(EncodingUnknown):
    """The table is in UTF-16 or UTF-32, which is not read here."""

    code = "utf16_refused"


class NoTextColumn(TableInvalid):
    """The table has no column named text."""

    code = "no_text_column"
    advice = "Name the columns in the first row: text, and if you like file, seed, pause, chapter."


class NarrationTooLong(Refused):
    """This is more than one recording holds."""

    code = "narration_too_long"
    advice = "Make several batches, or one file a line."


class BatchQuota(TooMany):
    """You have as many batches at work as are worked on at once."""

    code = "batch_quota"
    advice = "Wait until one is done, or cancel one."


class BatchOver(Conflict):
    """This batch is over."""

    code = "batch_over"


class LineNotFailed(Conflict):
    """Only a line that failed can be tried again."""

    code = "line_not_failed"


class LineUnknown(NotFound):
    """The batch has no such line."""


class BatchCancelled(VouchError):
    """You cancelled the batch."""

    code = "batch_cancelled"


class NothingToDownload(Conflict):
    """The batch has no recording yet."""

    code = "nothing_to_download"
