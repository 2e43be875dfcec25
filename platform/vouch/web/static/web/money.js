// Earnings: make a month's statement, say where to be paid.
import { Problem, call, poll } from "./api.js";
import { attempt, byId } from "./dom.js";
import { fill, gettext } from "./i18n.js";

const box = byId("problem");

/** A large month is computed by a worker: says how far it is until it is there. */
async function waited(job) {
  const bar = byId("statement-progress");
  bar.hidden = false;
  const words = gettext("Computing the statement: %(done)s of %(uses)s uses.");
  const say = (one) => (bar.textContent = fill(words, { done: one.done, uses: one.uses }));
  const ended = await poll(`statement-jobs/${job.id}`, (one) => one.state === "done" || one.state === "failed", say);
  if (ended.state === "failed") throw Problem.of(500, { code: ended.error });
}

function sends(id, method, path, names) {
  byId(id)?.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    const json = Object.fromEntries(names.map((name) => [name, form.elements[name].value.trim()]));
    attempt(form.querySelector("button"), box, async () => {
      const made = await call(method, path, { json });
      if (made.state === "queued" || made.state === "running") await waited(made);
      location.reload();
    });
  });
}

sends("make-statement", "POST", "statement-files", ["period"]);
sends("account", "PUT", "payout-account", ["name", "iban", "bic", "currency"]);
