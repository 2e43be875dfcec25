"""What the log refuses. These are mistakes of the calling code, never of a visitor."""

from foundation.errors import NotFound, VouchError


class LogMisuse(VouchError):
    """The log was called wrongly."""

    code, status = "log_misuse", 500


class NotInTransaction(LogMisuse):
    """A leaf must be appended in the transaction of the act it records."""

    code = "log_not_in_transaction"


class UnknownKind(LogMisuse):
    """This kind of event is not in the table."""

    code = "log_unknown_kind"


class BadEvent(LogMisuse):
    """The event's data cannot be logged."""

    code = "log_bad_event"


class PublishedElsewhere(LogMisuse):
    """The folder and this database do not hold the same log."""

    code = "log_published_elsewhere"


class WitnessRefused(VouchError):
    """A witness did not cosign."""

    code, status = "log_witness_refused", 502


class NoSuchLeaf(NotFound):
    """The log has no such leaf, or it is not yours to see."""

    code = "not_found"
