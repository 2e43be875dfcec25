"""What is wrong with a policy pack, by name. A pack with any of these does not load; the pack in force stays."""


class PackInvalid(ValueError):
    """The pack does not load; the message says which file or rule and why."""

    code = "pack_invalid"


class PackUnsigned(PackInvalid):
    """No signature by a key this deployment trusts covers what the pack says now."""

    code = "pack_unsigned"


class ExpressionInvalid(PackInvalid):
    """A condition does not parse, has the wrong types, or is too large."""

    code = "expression_invalid"


class UnknownFact(ExpressionInvalid):
    """A condition names a fact, threshold, term list or pattern that does not exist."""

    code = "unknown_fact"


class DividesByZero(ExpressionInvalid):
    """A condition divides by what is always zero."""

    code = "divides_by_zero"


class PatternInvalid(PackInvalid):
    """A regular expression that the bounded engine does not take."""

    code = "pattern_invalid"


class RuleFailed(ArithmeticError):
    """A condition had no value for these facts: it divided by zero. The text is refused, naming the rule."""

    code = "rule_failed"
