"""What the consent room refuses. Each has a stable code and says what the person can do."""

from foundation.errors import Conflict, Gone, NotAllowed, Refused, TooLarge, TooMany


class ChallengeExpired(Gone):
    """The time to answer this challenge is over."""

    code = "challenge_expired"
    advice = "Open a new challenge and read its words at once."


class ChallengeAlreadyAnswered(Conflict):
    """This challenge was answered before; each is good for one answer."""

    code = "challenge_already_answered"
    advice = "Open a new challenge."


class ChallengeUnanswered(Refused):
    """Nothing was said yet."""

    code = "challenge_unanswered"
    advice = "Send the recording while you speak, then finish the answer."


class PauseAfterFailures(TooMany):
    """Too many failed challenges in a row."""

    code = "pause_after_failures"
    advice = "Wait, then try again in a quiet room, close to the microphone."


class ChunkOutOfOrder(Conflict):
    """Chunks are numbered from 0 without gaps, each sent once."""

    code = "chunk_out_of_order"


class ChunkInvalid(Refused):
    """A chunk is 16-bit little-endian mono PCM at 16 kHz: an even number of bytes, at most 64 KiB."""

    code = "chunk_invalid"


class LateStart(Gone):
    """Nothing was heard for too long after the words were shown."""

    code = "late_start"
    advice = "Open a new challenge and begin to read at once."


class StreamStalled(Gone):
    """The stream broke off for too long: what comes after a break is not live."""

    code = "stream_stalled"
    advice = "Check your connection, open a new challenge, and read without a break."


class FasterThanLive(TooMany):
    """More sound arrived than can have been spoken meanwhile."""

    code = "faster_than_live"
    advice = "A challenge is answered live: send each chunk as it is recorded. Try this chunk again in a second."


class AnswerTooLong(TooLarge):
    """The answer is longer than a challenge needs."""

    code = "answer_too_long"


class ChallengeNotPassed(Refused):
    """This needs a challenge that you have passed a short while ago."""

    code = "challenge_not_passed"
    advice = "Open a challenge, answer it, and wait for the verdict 'pass'."


class ChallengeUsed(Conflict):
    """A consent was already given on this challenge."""

    code = "challenge_used"
    advice = "Open a new challenge for another consent."


class OwnVoiceForbidden(Conflict):
    """You forbade the cloning of your voice."""

    code = "own_voice_forbidden"
    advice = "Lift the protection first, then open a new challenge."


class AlreadyProtected(Conflict):
    """This voice is under protection already."""

    code = "already_protected"


class ConsentInForce(Conflict):
    """A consent of yours is in force; it and a protection exclude each other."""

    code = "consent_in_force"
    advice = "Withdraw the consent first."


class TooManyRecordings(TooMany):
    """There are as many recordings under this challenge as it may have."""

    code = "too_many_recordings"


class RecordingAlreadyReceived(Conflict):
    """The content of this recording has arrived before."""

    code = "recording_already_received"
    advice = "Make a new recording for new content."


class WrongOffset(Conflict):
    """A piece of an upload begins where the one before it ended."""

    code = "wrong_offset"
    advice = "Go on at the offset that the answer names."


class RecordingNotPassed(Refused):
    """Each recording a consent names must have passed its examination under the same challenge."""

    code = "recording_not_passed"


class TooLittleSpeech(Refused):
    """The recordings together are too short to train a voice."""

    code = "too_little_speech"
    advice = "Read more sentences of the script, then give consent again."


class TranscriptInvalid(Refused):
    """The transcript is empty or holds control characters."""

    code = "transcript_invalid"


class LanguageUnsupported(Refused):
    """This language is not offered."""

    code = "unsupported_language"


class ConsentInvalid(Refused):
    """These terms cannot be agreed to."""

    code = "consent_invalid"


class TextUnknown(Refused):
    """There is no consent text of this version, or it is not offered any more."""

    code = "consent_text_unknown"
    advice = "GET /api/v1/consent-texts lists the texts on offer."


class ReleaseMissing(Refused):
    """A voice template is biometric data: it needs its own, separate release."""

    code = "biometric_release_missing"


class PersonRestricted(NotAllowed):
    """A moderator's decision forbids this."""

    code = "restricted"
    advice = "You may ask for the decision to be looked at again."


class ConsentEnded(Conflict):
    """This consent has ended already."""

    code = "consent_ended"


class ConsentNotActive(Refused):
    """There is no consent in force to derive a licence from."""

    code = "no_consent"


class ConsentScopeExceeded(Refused):
    """The licence would permit more than the speaker agreed to."""

    code = "consent_scope"


class RehearsalOnly(NotAllowed):
    """A rehearsal consent is worth nothing outside a rehearsal."""

    code = "rehearsal_only"


class LicenceInvalid(Refused):
    """A licence cannot be granted on these terms."""

    code = "licence_invalid"


class LicenceTextUnknown(Refused):
    """There is no licence text of this id on offer."""

    code = "licence_text_unknown"
    advice = "GET /api/v1/licence-texts lists them."


class LicenceExclusive(Conflict):
    """An exclusive licence leaves no room for another one under the same consent."""

    code = "licence_exclusive"


class OfferClosed(Conflict):
    """This offer is signed, declined or past its day, or it waits for the other side."""

    code = "offer_closed"


class SeatsTaken(NotAllowed):
    """Every seat of this licence is taken."""

    code = "licence_cap"
    advice = "Take a seat back, or license more."


class LicenceCapReached(NotAllowed):
    """The licence has too few characters left."""

    code = "licence_cap"
    advice = "Shorten the text, or order more characters."


class LicenceEnded(NotAllowed):
    """The licence has ended or run out."""

    code = "licence_ended"


class NothingReserved(Conflict):
    """More characters were settled or released than are reserved."""

    code = "nothing_reserved"


class VoiceDiffers(Refused):
    """The voice that answered is not the voice this consent was given with."""

    code = "voice_differs"
    advice = "Answer a new challenge yourself, in a quiet room, or give a new consent."


class ReviewInvalid(Refused):
    """A review names what is asked, by what right, for whom, and why."""

    code = "review_invalid"


class ReviewOpen(Conflict):
    """A review of this kind is open already."""

    code = "review_open"
    advice = "Wait for its decision; it takes 72 hours at most."


class ReviewClosed(Conflict):
    """This review is decided, or its time is over."""

    code = "review_closed"


class ReviewNotApproved(Refused):
    """This needs a review that two moderators approved, not long ago, and that no consent rests on yet."""

    code = "review_not_approved"


class OwnReview(NotAllowed):
    """Nobody decides on what they asked for themselves."""

    code = "own_review"
    advice = "Leave this review to another moderator."


class VotedBefore(Conflict):
    """You have said your word on this review; the other approval is another moderator's."""

    code = "voted_before"


class DocumentMissing(Refused):
    """Nothing can be approved without a document."""

    code = "document_missing"


class DocumentUnsupported(Refused):
    """A document is a PDF, PNG or JPEG file."""

    code = "document_unsupported"


class TooManyDocuments(TooMany):
    """A review holds as many documents as it may have."""

    code = "too_many_documents"


class AgeRefused(Refused):
    """The voices of children are not cloned here: nobody can consent to it for them."""

    code = "minor_refused"
    advice = "The person may give consent themselves once they are of age."


class DeceasedRefused(Refused):
    """The voices of the dead are not cloned here: they can neither be heard live nor withdraw."""

    code = "deceased_refused"
