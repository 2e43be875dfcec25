// What people outside the desk do: report, send notices, read why, appeal, answer.
import { call, newKey } from "./api.js";
import { attempt, byId, el, report } from "./dom.js";
import { fill, gettext } from "./i18n.js";

const box = byId("problem");
const key = newKey();

function said(...lines) {
  const note = byId("received");
  note.replaceChildren(...lines.map((line) => el("p", {}, line)));
  note.hidden = false;
  note.focus();
}

byId("report")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const one = event.currentTarget;
  attempt(one.querySelector("button"), box, async () => {
    await call("POST", "reports", { json: Object.fromEntries(new FormData(one)), key });
    one.reset();
    said(gettext("Thank you. A moderator will look at it."));
  });
});

byId("notice")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const one = event.currentTarget;
  const json = Object.fromEntries(new FormData(one));
  for (const name of ["good_faith", "accurate", "authorised"]) json[name] = one.elements[name].checked;
  attempt(one.querySelector("button"), box, async () => {
    const made = await call("POST", "notices", { json });
    one.reset();
    const values = { id: made.id, token: made.token };
    said(
      gettext("We have it. Keep the number and its secret: they are shown once."),
      fill(gettext("Number: %(id)s"), values),
      fill(gettext("Secret: %(token)s"), values),
    );
  });
});

const look = byId("look");
async function ask(method, path) {
  const { id, token } = look.elements;
  const headers = { Accept: "application/json", "X-Notice-Token": token.value.trim() };
  const csrf = document.querySelector('meta[name="csrf"]').content;
  if (method === "POST") Object.assign(headers, { "X-CSRFToken": csrf, "Content-Type": "application/json" });
  const answer = await fetch(`/api/v1/notices/${encodeURIComponent(id.value.trim())}${path}`, {
    method,
    headers,
    body: method === "POST" ? "{}" : undefined,
  });
  if (!answer.ok) throw new Error(gettext("There is no such notice, or the secret is wrong."));
  return answer.json();
}

function show(found) {
  const names = {
    state: gettext("State"),
    triage_due_at: gettext("Read by"),
    action_due_at: gettext("Acted on by"),
    answer: gettext("Our answer"),
    counter_notice: gettext("Counter-notice"),
    restore_due_at: gettext("Comes back on"),
  };
  const rows = Object.entries(names).filter(([name]) => found[name]);
  byId("state").replaceChildren(...rows.flatMap(([name, word]) => [el("dt", {}, word), el("dd", {}, found[name])]));
  byId("state").hidden = false;
  byId("pursue-line").hidden = found.state !== "countered";
}

async function asked(button, method, path) {
  report(box, null);
  button.disabled = true;
  try {
    show(await ask(method, path));
  } catch (error) {
    box.replaceChildren(el("p", {}, error.message));
    box.hidden = false;
    box.focus();
  } finally {
    button.disabled = false;
  }
}

look?.addEventListener("submit", (event) => {
  event.preventDefault();
  asked(look.querySelector("button"), "GET", "");
});
byId("pursue")?.addEventListener("click", (event) => asked(event.currentTarget, "POST", "/pursue"));

for (const one of document.querySelectorAll("[data-appeal], [data-say], [data-counter]")) {
  one.addEventListener("submit", (event) => {
    event.preventDefault();
    const { appeal, say, counter } = one.dataset;
    const path = appeal
      ? `statements-of-reasons/${appeal}/appeal`
      : say
        ? `appeals/${say}/messages`
        : `statements-of-reasons/${counter}/counter-notice`;
    attempt(one.querySelector("button"), box, async () => {
      await call("POST", path, { json: Object.fromEntries(new FormData(one)) });
      location.reload();
    });
  });
}
