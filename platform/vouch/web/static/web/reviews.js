// Reviews by hand: asking and sending documents, and the two moderators' words.
import { call, newKey } from "./api.js";
import { attempt, byId } from "./dom.js";
import { gettext } from "./i18n.js";

const box = byId("problem");
const ask = byId("ask");
const vote = byId("vote");
const key = newKey();

ask?.addEventListener("submit", (event) => {
  event.preventDefault();
  const json = Object.fromEntries(new FormData(ask));
  if (json.kind === "without_biometrics") json.standing = "self";
  attempt(ask.querySelector("button"), box, async () => {
    await call("POST", "reviews", { json, key });
    location.reload();
  });
});

for (const form of document.querySelectorAll("[data-upload]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = form.elements.file;
    const said = form.querySelector("[role=status]");
    if (input.files[0].size > Number(input.dataset.max)) {
      said.textContent = gettext("This file is too large.");
      return;
    }
    attempt(form.querySelector("button"), box, async () => {
      await call("PUT", `reviews/${form.dataset.upload}/documents`, { body: input.files[0] });
      form.reset();
      said.textContent = gettext("Received.");
    });
  });
}

vote?.addEventListener("submit", (event) => {
  event.preventDefault();
  const json = { approve: vote.elements.approve.value === "yes", reason: vote.elements.reason.value.trim() };
  attempt(vote.querySelector("button"), box, async () => {
    await call("POST", `reviews/${vote.dataset.review}/vote`, { json });
    location.reload();
  });
});
