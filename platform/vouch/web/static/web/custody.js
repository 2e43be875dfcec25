// Legal holds: two operators order one, and two end it before its time.
import { call } from "./api.js";
import { attempt, byId } from "./dom.js";

const box = byId("problem");
const order = byId("order");

order?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { item, reason, until } = Object.fromEntries(new FormData(order));
  const json = { item: item.trim(), reason: reason.trim(), expires_at: `${until}T23:59:59Z` };
  attempt(order.querySelector("button"), box, async () => {
    await call("POST", "custody/holds", { json });
    location.reload();
  });
});

for (const button of document.querySelectorAll("[data-hold]")) {
  button.addEventListener("click", () =>
    attempt(button, box, async () => {
      await call("POST", `custody/holds/${button.dataset.hold}/${button.dataset.act}`);
      location.reload();
    }),
  );
}
