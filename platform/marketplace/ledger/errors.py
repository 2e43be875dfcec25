"""What the ledger refuses, by name."""

from foundation.errors import Conflict, Refused


class KeyReused(Conflict):
    """That movement was booked already, with other amounts."""

    code = "ledger_key_reused"


class NotEnough(Refused):
    """There is not that much on the account."""

    code = "ledger_not_enough"
    advice = "Look at the balances first; nothing was moved."


class NothingToPay(Refused):
    """Nothing is payable to this person in this currency."""

    code = "nothing_payable"
    advice = "Earnings become payable after the holdback; see the balances."
