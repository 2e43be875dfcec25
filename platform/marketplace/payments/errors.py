"""What payments refuse, by name."""

from foundation.errors import Conflict, NotAllowed, Refused, Unavailable


class PaymentsOff(Unavailable):
    """This deployment takes no payments by itself: an operator records what arrived."""

    code = "payments_off"
    advice = "Set VOUCH_PAYMENTS."
    retry_after = 3600


class NothingDue(Conflict):
    """Nothing is to be paid for this order: it is free, or not open any more."""

    code = "nothing_due"


class EventNotSigned(NotAllowed):
    """This event does not carry a valid signature of the provider."""

    code = "event_not_signed"


class EventChanged(Conflict):
    """An event of this id came before, with another content."""

    code = "event_changed"


class PaymentMismatch(Refused):
    """Amount or currency of the payment are not the order's: nothing was booked."""

    code = "payment_mismatch"
    advice = "Look at the payment at the provider; the order stays as it was."


class UnknownPayment(Refused):
    """No order of ours was paid by this."""

    code = "unknown_payment"


class ProviderDown(Unavailable):
    """The payment provider does not answer."""

    code = "provider_down"
    advice = "Try again in a minute; nothing was charged twice."


class ProviderDeclined(Refused):
    """The payment provider refuses this."""

    code = "provider_declined"
