// The moderators' desk: pull, claim, decide, undo, and a key for everything. Keys never act while somebody is typing.
import { call } from "./api.js";
import { attempt, byId, report } from "./dom.js";
import { gettext } from "./i18n.js";
import { openPalette } from "./palette.js";
import { guarded } from "./stepup.js";

const HEARTBEAT_MS = 30_000;
const box = byId("problem");
const form = byId("decide");
const mine = form?.dataset.mine !== undefined ? form.dataset.case : undefined;
let leaving = false;

/** Goes to another page; a case that is still held goes back to the queue on the way (`pagehide`, below). */
function go(address) {
  location.assign(address);
}

/** The same page again, with the case still held. */
function again() {
  leaving = true;
  location.reload();
}

// -- the next case ------------------------------------------------------------------------------------------------------
async function pull(json = {}) {
  const found = await call("POST", "desk/pull", { json });
  go(found.page);
}

byId("pull")?.addEventListener("click", (event) => {
  const { kind, severity } = event.currentTarget.dataset;
  const json = {};
  if (kind) json.kind = kind;
  if (severity) json.severity = Number(severity);
  attempt(event.currentTarget, box, () => pull(json));
});

const onClick = (id, work) =>
  byId(id)?.addEventListener("click", (event) => attempt(event.currentTarget, box, () => work(event.currentTarget)));

onClick("claim", async (button) => {
  await call("POST", `cases/${button.dataset.case}/claim`, { json: {} });
  again();
});
onClick("release", async (button) => {
  await call("POST", `cases/${button.dataset.case}/release`, { json: {} });
  leaving = true;
  go("/desk");
});
onClick("agree", async (button) => {
  await guarded(() => call("POST", `cases/${button.dataset.case}/second`, { json: { agree: true } }));
  again();
});
onClick("decline", async (button) => {
  await call("POST", `cases/${button.dataset.case}/second`, { json: { agree: false } });
  again();
});
onClick("golden", async (button) => {
  await call("POST", `cases/${button.dataset.case}/golden`, { json: { expected: button.dataset.expected } });
  report(box, null);
  button.textContent = gettext("It is a golden case now.");
});

for (const button of document.querySelectorAll("[data-undo]")) {
  button.addEventListener("click", () =>
    attempt(button, box, async () => {
      await call("POST", `cases/${button.dataset.undo}/undo`, { json: {} });
      go(`/desk/${button.dataset.undo}`);
    }),
  );
}
for (const button of document.querySelectorAll("[data-break]")) {
  button.addEventListener("click", () =>
    attempt(button, box, async () => {
      await call("POST", "desk/break", { json: { on: button.dataset.break === "on" } });
      go("/desk");
    }),
  );
}

// -- deciding -----------------------------------------------------------------------------------------------------------
const standard = byId("standard");

/** Offers the standard reasons of a decision, and takes the first while nothing was written. */
function suggest(decision) {
  let first = "";
  for (const option of standard.options) {
    if (!option.dataset.for) continue;
    option.hidden = option.disabled = !option.dataset.for.split(" ").includes(decision);
    if (!option.hidden && !first) first = option.value;
  }
  const written = byId("reason").value.trim();
  const known = [...standard.options].some((option) => option.value && option.value === written);
  if (first && (!written || known)) {
    standard.value = first;
    byId("reason").value = first;
  }
}

standard?.addEventListener("change", () => {
  if (standard.value) byId("reason").value = standard.value;
  byId("reason").focus();
});
for (const radio of form?.querySelectorAll("input[name=decision]") ?? []) {
  radio.addEventListener("change", () => suggest(radio.value));
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { decision, reason, clause } = form.elements;
  const json = { decision: decision.value, reason: reason.value.trim(), clause: clause.value.trim() };
  attempt(byId("submit"), box, async () => {
    if (form.dataset.check) {
      delete json.reason;
      await call("POST", `desk/checks/${form.dataset.check}/decide`, { json });
    } else {
      await guarded(() => call("POST", `cases/${form.dataset.case}/decide`, { json }));
    }
    leaving = true; // nothing is held any more
    try {
      await pull();
    } catch {
      go("/desk"); // nothing waits, or not for this person now: the desk says which
    }
  });
});

const send = (id, path, body, after) =>
  byId(id)?.addEventListener("submit", (event) => {
    event.preventDefault();
    const one = event.currentTarget;
    attempt(one.querySelector("button"), box, async () => {
      await call("POST", path(one), { json: body(one) });
      (after ?? again)();
    });
  });

send("note", (one) => `cases/${one.dataset.case}/notes`, (one) => ({ text: one.elements.text.value.trim() }));
send("reverse", (one) => `cases/${one.dataset.case}/reverse`, (one) => ({ reason: one.elements.reason.value.trim() }));
send("say", (one) => `appeals/${one.dataset.appeal}/messages`, (one) => ({ text: one.elements.text.value.trim() }));
send("outcome", (one) => `appeals/${one.dataset.appeal}/decide`, (one) => ({
  outcome: one.elements.outcome.value,
  reason: one.elements.reason.value.trim(),
}));

for (const one of document.querySelectorAll("[data-notice]")) {
  one.addEventListener("submit", (event) => {
    event.preventDefault();
    const follow = event.submitter?.value === "follow";
    attempt(event.submitter, box, async () => {
      const json = { follow, answer: one.elements.answer.value.trim() };
      await call("POST", `notices/${one.dataset.notice}/triage`, { json });
      again();
    });
  });
}

// -- several at once ------------------------------------------------------------------------------------------------------
byId("bulk")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const one = event.currentTarget;
  const { decision, reason, clause, count } = one.elements;
  const cases = [...one.querySelectorAll("input[name=case]:checked")].map((box) => box.value);
  const json = { cases, count: Number(count.value), decision: decision.value };
  json.reason = reason.value.trim();
  json.clause = clause.value.trim();
  attempt(event.submitter, box, async () => {
    await call("POST", "desk/bulk", { json });
    again();
  });
});

// -- holding a case: a sign of life while the page is open, and back into the queue when it is left ------------------------
if (mine) {
  setInterval(() => call("POST", `cases/${mine}/claim`, { json: {} }).catch((error) => report(box, error)), HEARTBEAT_MS);
  addEventListener("pagehide", () => {
    if (leaving) return;
    const token = document.querySelector('meta[name="csrf"]').content;
    const headers = { "X-CSRFToken": token, "Content-Type": "application/json" };
    fetch(`/api/v1/cases/${mine}/release`, { method: "POST", headers, body: "{}", keepalive: true }).catch(
      () => {}, // the page is gone: the lease ends by itself
    );
  });
}

// -- what can still be undone counts down --------------------------------------------------------------------------------
for (const one of document.querySelectorAll("[data-until]")) {
  const until = Date.parse(one.dataset.until);
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) one.textContent = `${left} s`;
    else one.closest("li").remove();
    if (left <= 0) clearInterval(timer);
  };
  // The rehearsal clock may stand elsewhere than the browser's: then the server's words stay.
  const near = Math.abs(until - Date.now()) < 600_000;
  const timer = near ? setInterval(tick, 1000) : 0;
  if (near) tick();
}

// -- keys -----------------------------------------------------------------------------------------------------------------
const queue = [...document.querySelectorAll("#queue a")];
const palette = byId("palette");
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette(palette);
    return;
  }
  const typing = event.target.closest("textarea, select, dialog, input:not([type=radio]):not([type=checkbox])");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n" && !byId("pull")) {
    event.preventDefault();
    attempt(null, box, () => pull());
    return;
  }
  if (event.key === "e" && byId("reason")) {
    event.preventDefault();
    byId("reason").focus();
    return;
  }
  if (event.key === "i" && byId("note-text")) {
    event.preventDefault();
    byId("note-text").focus();
    return;
  }
  if (event.key === "j" || event.key === "k") {
    const at = queue.indexOf(document.activeElement);
    queue[event.key === "j" ? Math.min(at + 1, queue.length - 1) : Math.max(at - 1, 0)]?.focus();
    return;
  }
  if (event.key === " " && event.target.closest("#queue a")) {
    event.preventDefault();
    event.target.closest("li").querySelector("input[type=checkbox]").click();
    return;
  }
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target || target.closest("fieldset:disabled")) return;
  event.preventDefault();
  if (target.type === "radio") {
    target.checked = true;
    if (target.name === "decision") {
      suggest(target.value);
      (byId("reason").value ? byId("submit") : byId("reason")).focus();
    } else byId("reason").focus();
  } else target.click();
});

