"""What custody refuses, and why."""

from foundation.errors import Conflict, NotAllowed, NotFound, Refused, Unavailable


class ItemUnknown(NotFound):
    """There is no such recording here, or it is not yours."""


class StillReceiving(Conflict):
    """The recording has not arrived whole yet."""

    code = "still_receiving"


class NotReceiving(Conflict):
    """This recording is closed: nothing can be added to it."""

    code = "custody_closed"


class ContentDiffers(Refused):
    """What arrived is not what was to be sent: its SHA-256 differs."""

    code = "content_differs"
    advice = "All of it was destroyed. Send it again from the beginning."


class NotDestroyed(Conflict):
    """The recording has not been destroyed yet, so there is nothing to certify."""

    code = "not_destroyed"
    advice = "Ask again after the deadline."


class NotErased(Conflict):
    """The key store has not let go of the recording's key yet."""

    code = "not_erased"
    advice = "Ask again in a minute."


class UnderHold(Conflict):
    """A legal hold keeps this from being destroyed. It is not used, and nobody reads it."""

    code = "under_legal_hold"
    advice = "The hold, its reason and its end are shown beside the recording."


class HoldUnknown(NotFound):
    """There is no such hold."""


class HoldInvalid(Refused):
    """A hold needs a reason, an end at most 90 days away, and a whole recording that is held now."""

    code = "hold_invalid"


class HoldNotOpen(Conflict):
    """This hold is not waiting for that."""

    code = "hold_not_open"


class HoldTakesTwo(NotAllowed):
    """A hold takes two people, and neither is the one it concerns."""

    code = "hold_takes_two"


class ClockUntrusted(Unavailable):
    """This host's clock is behind what was seen before, so no deadline can be counted."""

    code = "clock_untrusted"
    advice = "An operator must set the clock right."
