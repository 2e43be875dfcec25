// My voices and my data: training on the move, deadlines counting down, withdrawal with its consequences.
import { call, newKey } from "./api.js";
import { attempt, byId, el } from "./dom.js";
import { gettext, span, word } from "./i18n.js";
import { follow } from "./training.js";

const box = byId("problem");

for (const card of document.querySelectorAll("[data-training]")) {
  const line = card.querySelector("[data-stage]");
  // The page is made anew when it is over: it then shows the state as the server has it.
  follow(card.dataset.job, card.querySelector("progress"), line)
    .then(() => location.reload())
    .catch((error) => (line.textContent = error.message));
}

for (const button of document.querySelectorAll("[data-retry]")) {
  button.addEventListener("click", () =>
    attempt(button, box, async () => {
      await call("POST", `jobs/${button.dataset.retry}/retry`, { json: {}, key: newKey() });
      location.reload();
    }),
  );
}

// The server says how many seconds are left: this computer's clock may be wrong, and a rehearsal's is moved.
const loaded = performance.now();
const counts = [...document.querySelectorAll("[data-seconds-left]")];
function count() {
  for (const one of counts) {
    const left = Number(one.dataset.secondsLeft) - (performance.now() - loaded) / 1000;
    one.textContent = left > 0 ? span(left) : gettext("unreadable now");
  }
}
count();
if (counts.length) setInterval(count, 1000);

for (const button of document.querySelectorAll("[data-open]")) {
  button.addEventListener("click", () => byId(button.dataset.open).showModal());
}
for (const dialog of document.querySelectorAll("dialog:has([data-close])")) { // the step-up has its own script
  const done = dialog.querySelector("[data-done]");
  const withdraw = dialog.querySelector("[data-withdraw]");
  const close = dialog.querySelector("[data-close]");
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    if (done && !done.hidden) location.reload();
  });
  withdraw?.addEventListener("click", () =>
    attempt(withdraw, dialog.querySelector("[data-problem]"), async () => {
      const { consequences } = await call("POST", `consents/${withdraw.dataset.withdraw}/withdraw`, { json: {} });
      dialog
        .querySelector("[data-consequences]")
        .append(...consequences.map((one) => el("li", {}, word(one.what), " ", el("code", {}, one.ref))));
      done.hidden = false;
      withdraw.hidden = true;
      close.textContent = gettext("Close");
      close.focus();
    }),
  );
}
