"""What webhooks refuse, by name."""

from foundation.errors import Refused, TooMany


class BadAddress(Refused):
    """A webhook goes to https, port 443, at a public host name."""

    code = "bad_webhook_address"


class UnknownEvent(Refused):
    """There is no such event."""

    code = "unknown_event"


class TooManyEndpoints(TooMany):
    """You have as many webhooks as a person may have."""

    code = "too_many_webhooks"
    advice = "End one you do not need."
