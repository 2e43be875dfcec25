// Earnings: make a month's statement, say where to be paid.
import { call } from "./api.js";
import { attempt, byId } from "./dom.js";

const box = byId("problem");

function sends(id, method, path, names) {
  byId(id)?.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    const json = Object.fromEntries(names.map((name) => [name, form.elements[name].value.trim()]));
    attempt(form.querySelector("button"), box, async () => {
      await call(method, path, { json });
      location.reload();
    });
  });
}

sends("make-statement", "POST", "statement-files", ["period"]);
sends("account", "PUT", "payout-account", ["name", "iban", "bic", "currency"]);
