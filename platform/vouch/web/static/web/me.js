// My data: keys of programs, sessions, and the end of the account. What else is on the page is dashboard.js's.
import { call, newKey } from "./api.js";
import { attempt, byId } from "./dom.js";
import { dropAll } from "./parcels.js";
import { guarded } from "./stepup.js";

const box = byId("problem");

byId("new-key").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const scopes = [...form.querySelectorAll('[name="scope"]:checked')].map((one) => one.value);
  attempt(form.querySelector("button"), box, async () => {
    const json = { name: form.elements.name.value.trim(), scopes };
    if (form.elements.days.value) json.days = Number(form.elements.days.value);
    // A request that was refused for want of a factor is another one than the one that follows it.
    const made = await guarded(() => call("POST", "keys", { json, key: newKey() }));
    form.reset();
    byId("made-key-text").textContent = made.key;
    byId("made-key").hidden = false;
    byId("made-key").focus();
  });
});

for (const button of document.querySelectorAll("[data-revoke]")) {
  button.addEventListener("click", () =>
    attempt(button, box, async () => {
      await call("DELETE", `keys/${button.dataset.revoke}`);
      location.reload();
    }),
  );
}

const go = byId("erase-go");
byId("erase-word").addEventListener("input", (event) => {
  go.disabled = event.target.value.trim().toLowerCase() !== go.dataset.email.toLowerCase();
});
go.addEventListener("click", () =>
  attempt(go, document.querySelector("#erase [data-problem]"), async () => {
    await call("POST", "me/erase", { json: { confirm: go.dataset.person } });
    localStorage.clear();
    sessionStorage.clear();
    await dropAll().catch(() => {}); // a browser that keeps nothing
    location.assign("/");
  }),
);
