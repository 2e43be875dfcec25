"""What statements refuse, by name."""

from foundation.errors import Conflict, NotFound, Refused


class NothingUsed(NotFound):
    """No use of your voices is metered in that month."""

    code = "nothing_used"
    advice = "A month without a use has no statement; the next month's hangs on the one before it."


class BadPeriod(Refused):
    """A statement is for a calendar month, YYYY-MM, that has begun."""

    code = "bad_period"


class RatesMissing(Refused):
    """No rate table with these currencies is published for that day or before."""

    code = "rates_missing"
    advice = "An operator publishes one (manage.py publish_rates)."


class RatesFixed(Conflict):
    """The rate table of that day is published already, with other rates."""

    code = "rates_fixed"
    advice = "A published table never changes: publish one of another day."


class BadRates(Refused):
    """That is no rate table."""

    code = "bad_rates"


class AccountBroken(RuntimeError):
    """The metered uses do not lead to the head of their account: somebody changed them around the application."""
