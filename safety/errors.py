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


class NothingWaits(Conflict):
    """Nothing waits for you."""

    code = "nothing_waits"


class BudgetSpent(Conflict):
    """You have seen enough of the worst today."""

    code = "exposure_budget_spent"
    advice = "Take another queue: lighter cases are still handed out."


class OnBreak(Conflict):
    """You are on a break."""

    code = "on_break"
    advice = "End the break first."


class TooLateToUndo(Conflict):
    """The time to undo this is over."""

    code = "too_late_to_undo"
    advice = "A decision in force is reversed on appeal, or by a senior moderator."


class NeedsSecond(Conflict):
    """This decision cannot be taken back: a second person has to agree."""

    code = "second_person_needed"


class NotTheSecond(NotAllowed):
    """The second word belongs to another person than the first."""

    code = "not_the_second_person"


class CountMismatch(Refused):
    """The number you confirmed is not the number of cases."""

    code = "count_mismatch"
    advice = "Look at the selection again and confirm its number."


class AppealOver(Conflict):
    """The time to appeal is over, or the appeal is decided."""

    code = "appeal_over"


class AppealMade(Conflict):
    """There is an appeal against this decision already."""

    code = "appeal_exists"


class NotReversible(Conflict):
    """This decision cannot be reversed."""

    code = "not_reversible"


class NoticeIncomplete(Refused):
    """The notice lacks something that this form of notice needs."""

    code = "notice_incomplete"


class NoticeNotOpen(Conflict):
    """The notice is not in a state for this."""

    code = "notice_wrong_state"
