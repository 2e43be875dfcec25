"""What custody refuses, and why."""

from foundation.errors import Conflict, NotFound


class ItemUnknown(NotFound):
    """There is no such recording here, or it is not yours."""


class StillReceiving(Conflict):
    """The recording has not arrived whole yet."""

    code = "still_receiving"


class NotReceiving(Conflict):
    """This recording is closed: nothing can be added to it."""

    code = "custody_closed"


class NotDestroyed(Conflict):
    """The recording has not been destroyed yet, so there is nothing to certify."""

    code = "not_destroyed"
    advice = "Ask again after the deadline."
