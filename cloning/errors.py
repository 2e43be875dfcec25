"""The refusals of this room. The gate's own all derive from ``GateRefused``: one look tells who said no."""

from foundation.errors import Conflict, Gone, NotAllowed, Refused, TooMany, VouchError


class GateRefused(NotAllowed):
    """The gate refused."""

    code = "gate_refused"


class TraceNotReady(Conflict):
    """The trace has not come to an answer yet."""

    code = "trace_not_ready"
    advice = "Ask for the trace, and come back when it is done."


class VoiceUnknown(GateRefused):
    """There is no such thing here, or it is not yours."""

    # The same answer as for an id that does not exist, so that the gate is no oracle for private voices.
    code, status = "not_found", 404


class VoiceAmbiguous(Conflict):
    """Several voices that you may use have this name."""

    code = "voice_ambiguous"
    advice = "Give the voice's id instead of its name."


class NoConsent(GateRefused):
    """There is no consent of this speaker that stands now."""

    code = "no_consent"


class ConsentWithdrawn(GateRefused):
    """The speaker has withdrawn the consent this voice rests on."""

    code = "consent_withdrawn"


class ConsentExpired(GateRefused):
    """The consent this voice rests on has run out."""

    code = "consent_expired"


class ConsentScope(GateRefused):
    """The consent does not cover this use or language."""

    code = "consent_scope"


class NoLicence(GateRefused):
    """You hold no licence for this voice."""

    code = "no_licence"
    advice = "Order a licence from the voice's listing."


class LicenceScope(GateRefused):
    """Your licence does not cover this use or language, or has run out."""

    code = "licence_scope"


class LicenceCap(GateRefused):
    """Your licence has too few characters left for this text."""

    code = "licence_cap"
    advice = "Shorten the text, or order more characters."


class HeldForOwner(GateRefused):
    """The owner of the voice reads this text before it may be spoken."""

    code = "held_for_owner"
    advice = "Wait for the owner: GET /api/v1/speech/<id> shows the answer."


class OwnerRefused(GateRefused):
    """The owner of the voice refused this text."""

    code = "owner_refused"


class PolicyRefused(GateRefused):
    """The usage policy forbids this text."""

    code = "policy_refused"


class HeldForModerator(GateRefused):
    """This text needs a moderator's decision before it may be spoken."""

    code = "held_for_moderator"
    advice = "Wait for the decision: GET /api/v1/speech/<id> shows it."


class Restricted(GateRefused):
    """A moderator's decision forbids this."""

    code = "restricted"
    advice = "You may ask for the decision to be looked at again."


class RehearsalOnly(GateRefused):
    """This voice belongs to a rehearsal and speaks only there."""

    code = "rehearsal_only"


class TrainingSetChanged(GateRefused):
    """The training recordings are not the ones that were approved."""

    code = "training_set_changed"


class TextChanged(GateRefused):
    """The text is not the one that was approved."""

    code = "text_changed"


class VoiceNotReady(GateRefused):
    """This voice is still in training, or its training failed."""

    code, status = "voice_not_ready", 409


class VoiceDestroyed(GateRefused):
    """This voice was destroyed."""

    code, status = "voice_destroyed", 410


class InstantAlready(Conflict):
    """This voice has its instant voice, or it is being made."""

    code = "instant_already"


class InstantNotOffered(Conflict):
    """An instant voice is made of a starter voice's recordings while its training waits or runs."""

    code = "instant_not_offered"
    advice = "A voice that is ready speaks by itself."


class MaskUnknown(GateRefused):
    """This voice has no such mask."""

    code, status = "mask_unknown", 404
    advice = "GET /api/v1/voices/<id>/masks lists the masks of a voice."


class MaskNotReady(GateRefused):
    """This mask is still being made, or could not be made."""

    code, status = "mask_not_ready", 409


class MaskEnded(GateRefused):
    """This mask was ended."""

    code, status = "mask_ended", 410


class MaskSlipped(GateRefused):
    """What was spoken through the mask sounds like the person behind it."""

    code = "mask_slipped"
    advice = "Nothing was handed out. Make another mask, or speak more slowly and evenly."


class MaskNotFound(Conflict):
    """No mask of this voice was found that is far from you and near to nobody."""

    code = "mask_not_found"
    advice = "Try again: other disturbances are drawn. A voice trained from more speech has more room."


class MaskUnmeasured(Conflict):
    """The voice said too little to be measured."""

    code = "mask_unmeasured"
    advice = "Train the voice again from clearer speech, then make the mask."


class MaskHasItsOwn(Refused):
    """Under a mask, pitch and formants are the mask's: moved further, nobody has measured whom it sounds like."""

    code = "mask_manner"
    advice = "Leave out pitch and formants, and presets that move the pitch."


class MaskExists(Conflict):
    """A mask of this name belongs to the voice already."""

    code = "mask_exists"


class MaskVersion(Conflict):
    """Only starter voices have masks: of other versions, a mask could be taken off again."""

    code = "mask_version"


class MaskBeingMade(Conflict):
    """A mask of this voice is being made."""

    code = "mask_being_made"
    advice = "Wait until it is done."


class TooManyMasks(Conflict):
    """The voice has as many masks as a voice may have."""

    code = "too_many_masks"
    advice = "End one of them first."


class NoRecordings(Refused):
    """No accepted training recording belongs to this consent."""

    code = "no_recordings"
    advice = "Upload training speech, wait until it is accepted, then give the consent that names it."


class TextInvalid(Refused):
    """This text cannot be spoken."""

    code = "text_invalid"


class LanguageUnsupported(Refused):
    """This language cannot be spoken yet."""

    code = "unsupported_language"


class VersionUnknown(Refused):
    """There is no such version of the engine."""

    code = "unknown_version"


class VersionNotOffered(Refused):
    """This deployment does not offer that version."""

    code = "version_not_offered"
    advice = "GET /api/v1/voices/versions lists those that can be chosen."


class BaseIncomplete(Refused):
    """The base model of that version is not mounted whole."""

    code = "base_incomplete"
    advice = "Choose another version, or tell whoever runs this deployment which file is missing."


class ContainerUnknown(Refused):
    """This audio format cannot be made."""

    code = "unknown_container"


class QuotaUsed(GateRefused):
    """This month's free characters are used."""

    code = "quota_used"
    advice = "Become a member, or wait until next month."


class TrialOver(Conflict):
    """This account had its trial."""

    code = "trial_over"
    advice = "A membership can be ordered."


class MemberAlready(Conflict):
    """This account is a member's already."""

    code = "member_already"


class RateUnknown(Refused):
    """Outputs are not delivered at this rate."""

    code = "unknown_rate"


class VoiceExists(Conflict):
    """A voice of this name exists under this consent."""

    code = "voice_exists"


class IllegalTransition(Conflict):
    """This is not possible in the present state."""

    code = "illegal_transition"


class OutputRevoked(Gone):
    """This recording was withdrawn from use."""

    code = "output_revoked"


class JobForgotten(Gone):
    """The text of this job is no longer kept."""

    code = "text_forgotten"
    advice = "Send the request again."


class StreamInterrupted(VouchError):
    """The stream broke off at our side; what was sent cannot be continued."""

    code, status = "stream_interrupted", 500
    advice = "Ask again: it will be another recording."


class ListenerLeft(VouchError):
    """The listener was gone before any speech had left."""

    code, status = "client_left", 409


class SoundsLikeAnother(GateRefused):
    """What is being spoken sounds like somebody other than the owner of the voice."""

    code = "sounds_like_another"


class TooManyStreams(TooMany):
    """Too many of your streams are running."""

    code = "too_many_streams"
    advice = "Let one of them end first."
