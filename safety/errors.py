"""What safety refuses, by name."""

from foundation.errors import Conflict, NotAllowed, Refused, TooLarge


class TextTooLong(TooLarge):
    """The text is longer than the policy reads at once."""

    code = "text_too_long"


class UnknownSubject(Refused):
    """No restriction or report can name this subject."""

    code = "unknown_subject"


class NoReason(Refused):
    """A decision needs a reason and the clause it rests on."""

    code = "reason_missing"


class OwnCase(NotAllowed):
    """Nobody decides on their own request, their own report, or themselves."""

    code = "own_case"
    advice = "Leave this case to another moderator."


class CaseClaimed(Conflict):
    """Another moderator holds this case."""

    code = "case_claimed"


class CaseNotClaimed(Conflict):
    """Claim the case first; a claim lapses when its time is over."""

    code = "case_not_claimed"


class CaseDecided(Conflict):
    """This case is decided; a decision is made once."""

    code = "case_decided"


class WrongDecision(Refused):
    """This kind of case does not know that decision."""

    code = "decision_not_for_case"


class TextRefusedBefore(Refused):
    """A moderator refused this text in this voice for this person."""

    code = "refused_by_moderator"


class AlreadyRestricted(Conflict):
    """This subject already carries that restriction."""

    code = "already_restricted"


class AlreadyLifted(Conflict):
    """This restriction was lifted before."""

    code = "already_lifted"


class BadEmbedding(Refused):
    """The embedding has the wrong size, or no direction."""

    code = "bad_embedding"
