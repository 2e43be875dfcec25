// The ceremony, step by step: challenge, reading, terms, training.
import { call, newKey, told } from "./api.js";
import { ChallengeStep } from "./challenge.js";
import { Curve } from "./curve.js";
import { attempt, byId, el, report } from "./dom.js";
import { gettext, lang } from "./i18n.js";
import { LIFE_MS, dropAll } from "./parcels.js";
import { surely } from "./patience.js";
import { ReadingStep } from "./reading.js";
import { follow } from "./training.js";

const page = byId("ceremony");
const renews = page.dataset.renew; // The consent that is renewed; empty for a new one, which needs readings too.
const box = byId("problem");
const KEPT = "vouch-ceremony";

/**
 * What a reload or a closed tab must not lose: ids only. `next` is the script's next sentence, by language; `consent`
 * and `voice` come with the later steps.
 */
const state = { person: page.dataset.person, challenge: null, recordings: [], sent: [], next: {}, consent: null, ask: null, voice: null, at: 0 };

function keep() {
  if (!renews) localStorage.setItem(KEPT, JSON.stringify(state));
}

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    const fresh = found?.consent || Date.now() - found?.at < LIFE_MS; // the server decides
    const usable = found?.person === state.person && found.challenge && fresh;
    return usable ? found : null;
  } catch {
    return null;
  }
}

/** Readings on their way belong to one challenge; a browser that keeps none has none to forget. */
const forgetReadings = () => dropAll().catch(() => {});

function show(step) {
  report(box, null);
  let past = true;
  for (const item of document.querySelectorAll("[data-step-name]")) {
    const current = item.dataset.stepName === step;
    if (current) past = false;
    item.classList.toggle("past", past);
    if (current) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  for (const section of page.querySelectorAll("[data-step]")) section.hidden = section.dataset.step !== step;
  const heading = page.querySelector(`[data-step="${step}"] h2`);
  heading.tabIndex = -1;
  heading.focus();
}

new ChallengeStep(page, (challenge) => {
  Object.assign(state, { challenge, recordings: [], sent: [], next: {}, consent: null, ask: null, voice: null, at: Date.now() });
  keep();
  if (!renews) forgetReadings();
  if (renews) terms();
  else show("reading");
});
const reading = new ReadingStep(page, state, { onChange: keep, onDone: () => terms() });

// Whoever comes back goes on where they stopped, and may start over.
const earlier = renews ? null : kept();
if (earlier) {
  Object.assign(state, earlier);
  byId("resumed").hidden = false;
  byId("start-over").addEventListener("click", async () => {
    localStorage.removeItem(KEPT);
    await forgetReadings();
    location.reload();
  });
} else if (!renews) forgetReadings();

// -- terms ------------------------------------------------------------------------------------------------------------

let texts = [];

async function terms() {
  await attempt(byId("reading-done"), box, async () => {
    texts = await call("GET", "consent-texts");
    const choice = byId("text-version");
    const offered = texts.filter((one) => one.kind === "consent");
    choice.replaceChildren(
      ...offered.map((one) => el("option", { value: one.version, lang: one.language }, `${one.version} (${one.language})`)),
    );
    choice.value = (offered.find((one) => one.language === lang) ?? offered[0]).version;
    showTexts();
    const former = renews ? await call("GET", `consents/${renews}`) : null;
    const spoken = new Set(former?.languages ?? state.recordings.map((one) => one.language));
    for (const input of byId("terms").querySelectorAll('[name="language"]')) input.checked = spoken.has(input.value);
    if (former) {
      for (const input of byId("terms").querySelectorAll('[name="use"]')) input.checked = former.uses[input.value] === true;
      byId("territory").value = former.territory;
    }
    show("terms");
  });
}

function showTexts() {
  const chosen = texts.find((one) => one.kind === "consent" && one.version === byId("text-version").value);
  const release = texts.find((one) => one.kind === "biometric" && one.language === chosen.language);
  for (const [id, one] of [["consent-text", chosen], ["release-text", release]]) {
    byId(id).textContent = one?.text ?? "";
    byId(id).lang = one?.language ?? "";
  }
  byId("terms").elements.agree.checked = byId("terms").elements.biometric_release.checked = false;
}
byId("text-version").addEventListener("change", showTexts);

let consentKey = newKey();
byId("terms").addEventListener("change", () => (consentKey = newKey()));
byId("terms").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const uses = {};
  for (const input of form.querySelectorAll('[name="use"]')) uses[input.value] = input.checked;
  const given = {
    challenge: state.challenge,
    ...(renews ? {} : { recordings: state.recordings.map((one) => one.id) }),
    uses,
    languages: [...form.querySelectorAll('[name="language"]:checked')].map((one) => one.value),
    term_days: Number(form.elements.term_days.value),
    territory: form.elements.territory.value.trim(),
    text_version: form.elements.text_version.value,
    biometric_release: form.elements.biometric_release.checked,
  };
  attempt(form.querySelector("button"), box, async () => {
    const consent = await call("POST", renews ? `consents/${renews}/renew` : "consents", { json: given, key: consentKey });
    if (renews) return location.assign(page.dataset.consentsUrl);
    state.consent = { id: consent.id, language: state.recordings[0].language };
    keep();
    forgetReadings();
    train();
  });
});

// -- training ---------------------------------------------------------------------------------------------------------

/** The last step, at once or when somebody comes back to it: the form, or the training that is under way. */
function train() {
  const { id, language } = state.consent;
  byId("receipt").href = `/api/v1/consents/${id}/receipt`;
  byId("receipt").download = `consent-${id}.json`;
  Object.assign(byId("train").dataset, { consent: id, language });
  show("training");
  if (state.voice) watch(state.voice);
  else if (state.ask) begin();
}

byId("train").addEventListener("submit", (event) => {
  event.preventDefault();
  const { dataset, elements } = event.target;
  const asked = { consent: dataset.consent, name: elements.name.value.trim(), language: dataset.language, version: elements.version.value };
  state.ask = { key: newKey(), asked };
  begin();
});

/** Has the server take what was asked for: under the same key after a reload, so that one voice is trained. */
function begin() {
  const { key, asked } = state.ask;
  keep();
  attempt(byId("train").querySelector("button"), box, async () => {
    try {
      const voice = await surely("voices", asked, box, key);
      state.voice = { id: voice.id, job: voice.job };
    } finally {
      state.ask = null;
      keep();
    }
    watch(state.voice);
  });
}

const curve = new Curve(byId("training-curve"));

function watch(voice) {
  byId("train").hidden = byId("training-retry").hidden = true;
  byId("training-progress").hidden = false;
  attempt(null, box, async () => {
    const job = await follow(voice.job, byId("training-bar"), byId("training-stage"), curve);
    if (job.state === "succeeded") {
      localStorage.removeItem(KEPT);
      byId("training-stage").textContent = gettext("Your voice is ready.");
      byId("training-voice").href = page.dataset.voiceUrl + voice.id;
      byId("training-voice").hidden = false;
      byId("training-voice").focus();
    } else {
      byId("training-stage").textContent = `${job.error_code}: ${told(job.error_code, job.error_detail)}`;
      byId("training-retry").hidden = job.state !== "failed";
      byId("training-retry").onclick = () =>
        attempt(byId("training-retry"), box, async () => {
          await surely(`jobs/${voice.job}/retry`, {}, box);
          watch(voice);
        });
    }
  });
}

if (earlier?.consent) train();
else if (earlier) {
  reading.resume(earlier.sent ?? []);
  show("reading");
}
