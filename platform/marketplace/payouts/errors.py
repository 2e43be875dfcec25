"""What payouts refuse, by name."""

from foundation.errors import Refused


class BadAccount(Refused):
    """That is no bank account we can pay to."""

    code = "bad_account"


class BadExchange(Refused):
    """Two different currencies of ours, amounts above zero, and the bank's reference."""

    code = "bad_exchange"


class PayerUnknown(Refused):
    """This deployment has no bank account to pay from."""

    code = "payer_unknown"
    advice = "Set VOUCH_PAYER_NAME and VOUCH_PAYER_IBAN."
