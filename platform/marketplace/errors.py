"""What the marketplace refuses, by name."""

from foundation.errors import Conflict, NotAllowed, Refused


class VoiceNotReady(Conflict):
    """Only a voice that is ready can be listed or ordered."""

    code = "voice_not_ready"


class NotForOthers(Refused):
    """The speaker's consent does not cover licences to others, or not these terms."""

    code = "consent_scope"


class RehearsalNotForSale(Refused):
    """A rehearsal voice can be licensed inside the rehearsal only, and never for money."""

    code = "rehearsal_not_for_sale"


class BadTerms(Refused):
    """These terms are outside what the marketplace knows."""

    code = "bad_terms"


class NameRefused(Refused):
    """The words of an offer may not use this name, claim or spelling."""

    code = "name_refused"
    advice = "Choose a title that describes how the voice sounds."


class NameTaken(Conflict):
    """Another owner's offer looks the same by its title."""

    code = "name_taken"


class NoPreview(Refused):
    """This recording cannot be the preview of the offer."""

    code = "no_preview"


class NotWaiting(Conflict):
    """This offer does not wait for a review."""

    code = "not_waiting"


class AlreadyListed(Conflict):
    """This voice has a live listing already."""

    code = "already_listed"
    advice = "Withdraw the listing first; a listing's terms never change under a customer."


class NotLive(Conflict):
    """This listing is not on offer any more."""

    code = "listing_not_live"


class NotReviewed(Conflict):
    """No moderator has let this offer into the shop yet."""

    code = "listing_not_reviewed"
    advice = "Its owner gives it a preview; once a moderator has heard that, the offer can be ordered."


class TermTooLong(Refused):
    """The licence would outlast the speaker's consent."""

    code = "term_beyond_consent"
    advice = "Offer or order a shorter term, or let the speaker renew the consent first."


class OwnVoice(NotAllowed):
    """Nobody orders a licence for their own voice."""

    code = "own_voice"
    advice = "You may speak in your own voice under your own consent."


class OrderOpen(Conflict):
    """You have an unfinished order for this listing."""

    code = "order_open"
    advice = "Pay or cancel it first."


class BillStands(Conflict):
    """A bill for declared revenue cannot be cancelled."""

    code = "bill_stands"
    advice = "Pay it; an operator helps where the declaration was wrong."


class NotAShare(Refused):
    """This order is not paid by a share of revenue."""

    code = "not_a_share"


class AlreadyDeclared(Conflict):
    """That month's revenue was declared already."""

    code = "already_declared"
    advice = "A declaration is signed and stands; an operator helps where it was wrong."


class NotRenewable(Conflict):
    """This order is not one that is followed by another."""

    code = "not_renewable"


class MembershipNotSold(Conflict):
    """No membership is sold here."""

    code = "membership_not_sold"


class PriceChanged(Conflict):
    """The price is not the one you were told."""

    code = "price_changed"
    advice = "Look at the listing again and order at its price; nothing was charged."


class OrderBusy(Conflict):
    """A text is being spoken under this order's licence."""

    code = "order_busy"
    advice = "Try again in a minute, when it is finished."


class WrongDispute(Conflict):
    """That does not fit the order's dispute: one is opened on a paid order, once, and closed once."""

    code = "wrong_dispute"


class Restricted(NotAllowed):
    """A moderator has restricted the voice, its owner or you."""

    code = "restricted"
