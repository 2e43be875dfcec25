// The market: search by sound, order characters, ask for other terms, report and review offers.
import { call, newKey, poll, told } from "./api.js";
import { attempt, byId, el } from "./dom.js";
import { fill, gettext } from "./i18n.js";
import { onParts } from "./parts.js";

const box = byId("problem");
const done = byId("done");

function say(text) {
  done.textContent = text;
  done.hidden = false;
  done.scrollIntoView({ block: "nearest" });
}

function orders(form) {
  let key = newKey();
  form.addEventListener("change", () => (key = newKey()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const json = { listing: form.dataset.order };
    if (event.submitter?.name === "trial") json.trial = true;
    else json.characters = Number(form.elements.characters.value);
    if (!json.trial && form.elements.renews?.checked) json.renews = true;
    attempt(event.submitter ?? form.querySelector("button"), box, async () => {
      const order = await call("POST", "orders", { json, key });
      key = newKey();
      if (order.state === "fulfilled") location.reload();
      else say(fill(gettext("Ordered (%(id)s). The licence begins when the payment has arrived."), { id: order.id }));
    });
  });
}

function asks(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const json = {
      consent: form.dataset.ask,
      text: form.elements.text.value,
      characters: Number(form.elements.characters.value),
      days: Number(form.elements.days.value),
    };
    attempt(form.querySelector("button"), box, async () => {
      await call("POST", "offers", { json, key: newKey() });
      say(gettext("The owner has your terms, signed by you. You find the answer under “My offers and requests”."));
    });
  });
}

function reports(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form.querySelector("button"), box, async () => {
      await call("POST", `listings/${form.dataset.report}/report`, { json: { text: form.elements.text.value } });
      say(gettext("Reported: a moderator will look at this voice."));
      form.reset();
    });
  });
}

onParts((root) => {
  root.querySelectorAll("[data-order]").forEach(orders);
  root.querySelectorAll("[data-ask]").forEach(asks);
  root.querySelectorAll("[data-report]").forEach(reports);
});

for (const form of document.querySelectorAll("[data-review]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const json = { decision: event.submitter.value, reason: form.elements.reason.value };
    attempt(event.submitter, box, async () => {
      await call("POST", `listings/${form.dataset.review}/review`, { json });
      location.reload();
    });
  });
}

const GRADES = { very_close: gettext("very close"), close: gettext("close") };

byId("by-sound").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const list = byId("alike");
  attempt(form.querySelector("button"), box, async () => {
    const asked = await call("POST", "sound-searches", { body: form.elements.clip.files[0] });
    const found = await poll(`sound-searches/${asked.id}`, (one) => one.state !== "queued");
    const lines = found.found.map((one) =>
      el("li", {}, el("a", { href: `#offer-${one.listing.id}` }, one.listing.title), ` · ${GRADES[one.grade] ?? one.grade}`),
    );
    if (found.state === "failed") lines.push(el("li", {}, told(found.error_code, found.error_detail), " ", el("code", {}, found.error_code)));
    else if (!lines.length) lines.push(el("li", {}, gettext("No voice on offer sounds like it.")));
    list.replaceChildren(...lines);
    list.hidden = false;
  });
});
