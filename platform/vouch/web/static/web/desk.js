// The moderators' desk: claim, decide, and a key for everything. Keys never act while somebody is typing.
import { call } from "./api.js";
import { attempt, byId } from "./dom.js";

const box = byId("problem");
const claim = byId("claim");
const form = byId("decide");

claim?.addEventListener("click", () =>
  attempt(claim, box, async () => {
    await call("POST", `cases/${claim.dataset.case}/claim`, { json: {} });
    location.reload();
  }),
);

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { decision, reason, clause } = form.elements;
  const json = { decision: decision.value, reason: reason.value.trim(), clause: clause.value.trim() };
  attempt(form.querySelector("button"), box, async () => {
    await call("POST", `cases/${form.dataset.case}/decide`, { json });
    location.reload();
  });
});

const queue = [...document.querySelectorAll("#queue a")];
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("textarea, select, input:not([type=radio])");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j" || event.key === "k") {
    const at = queue.indexOf(document.activeElement);
    queue[event.key === "j" ? Math.min(at + 1, queue.length - 1) : Math.max(at - 1, 0)]?.focus();
    return;
  }
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target || target.closest("fieldset:disabled")) return;
  event.preventDefault();
  if (target.type === "radio") {
    target.checked = true;
    byId("reason").focus();
  } else target.click();
});
