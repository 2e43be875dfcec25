// Words in the page's language. The catalogue (strings.js) is a plain script that runs before every module.
export const gettext = globalThis.gettext ?? ((text) => text);
export const ngettext = globalThis.ngettext ?? ((one, many, n) => (n === 1 ? one : many));

/** Puts values into `%(name)s` places. */
export function fill(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whole seconds as "1 h 02 min", "3 min 20 s" or "8 s". */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
  if (s >= 60) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  return `${s} s`;
}

/** The interface language as the API's advice is keyed: "en" or "zh". */
export const lang = document.documentElement.lang.startsWith("zh") ? "zh" : "en";

const WORDS = {
  queued: gettext("Waiting for a worker"),
  running: gettext("Running"),
  held: gettext("Waiting for a moderator"),
  succeeded: gettext("Finished"),
  failed: gettext("Failed"),
  refused: gettext("Refused"),
  cancelled: gettext("Cancelled"),
  waiting: gettext("Not asked for yet"),
  accepted: gettext("Accepted"),
  asked: gettext("With the workers"),
  done: gettext("Spoken"),
  prepare: gettext("Preparing the recordings"),
  semantic: gettext("Learning how you read"),
  acoustic: gettext("Learning how you sound"),
  "opening the voice": gettext("Opening the voice"),
  speaking: gettext("Speaking"),
  "hearing the voice as it is": gettext("Hearing the voice as it is"),
  "reading recordings": gettext("Reading the recordings"),
  "trying masks": gettext("Trying masks"),
  "marking and labelling": gettext("Marking and labelling"),
  active: gettext("In force"),
  withdrawn: gettext("Withdrawn"),
  expired: gettext("Expired"),
  ended: gettext("Ended"),
  live: gettext("In use"),
  revoked: gettext("Withdrawn from use"),
  quarantined: gettext("Withdrawn by a moderator"),
  transplanted: gettext("Laid on other sound"),
  never_delivered: gettext("Never delivered"),
  own_use: gettext("by the speaker"),
  licence: gettext("under a licence"),
  pass: gettext("Passed"),
  refuse: gettext("Refused"),
  inconclusive: gettext("Unclear: record again"),
  quality: gettext("Sound quality"),
  liveness: gettext("Spoken live, the right words"),
  own_mark: gettext("Made by this service?"),
  spoof: gettext("Made by a machine?"),
  speaker: gettext("Same speaker"),
  speaker_windows: gettext("Same speaker throughout"),
  voice_search: gettext("Like a protected voice, or somebody else’s?"),
  channel: gettext("Same microphone and room?"),
  heard_before: gettext("Recorded before?"),
  "consent.withdrawn": gettext("Consent withdrawn"),
  "licence.ended": gettext("Licence ended"),
  "job.cancelled": gettext("Work stopped"),
  "voice.destroyed": gettext("Voice destroyed"),
  "template.destroyed": gettext("Voice template destroyed"),
  "search_template.destroyed": gettext("Taken out of the voice search"),
  "recording.destroyed": gettext("Recording of you destroyed"),
  "outputs.revoked": gettext("Recordings made with it withdrawn"),
  "listing.withdrawn": gettext("Offer taken off the market"),
};

/** The word for a code; an unknown code is shown as it is. */
export const word = (code) => WORDS[code] ?? code;
