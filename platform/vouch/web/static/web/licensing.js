// Licences: offering a voice, answering terms and texts, notice and safety stop.
import { call, newKey } from "./api.js";
import { attempt, byId } from "./dom.js";

const box = byId("problem");
const checked = (form, name) => [...form.querySelectorAll(`[name="${name}"]:checked`)].map((one) => one.value);

/** Runs one act and shows the page as the server has it then. */
function act(button, work) {
  return attempt(button, box, async () => {
    await work();
    location.reload();
  });
}

for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => act(button, () => call("POST", button.dataset.act, { json: {} })));
}

for (const button of document.querySelectorAll("[data-approve]")) {
  const path = `approvals/${button.dataset.approve}/decide`;
  button.addEventListener("click", () => act(button, () => call("POST", path, { json: { decision: button.value } })));
}

for (const button of document.querySelectorAll("[data-take-back]")) {
  const path = `listings/${button.dataset.takeBack}/withdraw`;
  button.addEventListener("click", () => act(button, () => call("POST", path, { json: {} })));
}

for (const form of document.querySelectorAll("[data-stop]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const json = { reason: form.elements.reason.value.trim() };
    act(form.querySelector("button"), () => call("POST", `licences/${form.dataset.stop}/stop`, { json }));
  });
}

const offer = byId("offer");
/** Only recordings of the chosen voice can be its preview. */
function previews() {
  const select = offer.elements.preview;
  for (const one of select.options) {
    one.hidden = Boolean(one.dataset.voice) && one.dataset.voice !== offer.elements.voice.value;
    if (one.hidden && one.selected) select.value = "";
  }
}

if (offer) {
  previews();
  offer.elements.voice.addEventListener("change", previews);
  offer.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = (name) => offer.elements[name].value.trim();
    const json = {
      voice: field("voice"),
      title: field("title"),
      description: field("description"),
      conditions: field("conditions"),
      tags: field("tags").split(/[,，]/).map((one) => one.trim()).filter(Boolean),
      price_minor: Number(field("price_minor")),
      currency: field("currency"),
      unit: field("unit"),
      free_units: Number(field("free_units")),
      licence_days: Number(field("licence_days")),
      languages: checked(offer, "language"),
      text: field("text"),
      terms: {
        notice_days: Number(field("notice_days")),
        survival: field("survival"),
        moderation: field("moderation"),
        blocked: checked(offer, "blocked"),
      },
    };
    if (field("preview")) json.preview = field("preview");
    act(offer.querySelector("button"), () => call("POST", "listings", { json, key: newKey() }));
  });
}
