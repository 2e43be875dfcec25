// Orders and membership: declare revenue, renew or not, begin a trial, order months, pay with a test card.
import { call, newKey } from "./api.js";
import { attempt, byId } from "./dom.js";

const box = byId("problem");

/** Runs one act and shows the page as the server has it then. */
function act(button, work) {
  return attempt(button, box, async () => {
    await work();
    location.reload();
  });
}

for (const form of document.querySelectorAll("[data-declare]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const json = { period: form.elements.period.value, revenue_minor: Number(form.elements.revenue_minor.value) };
    act(form.querySelector("button"), () =>
      call("POST", `orders/${form.dataset.declare}/revenue`, { json, key: newKey() }),
    );
  });
}

for (const button of document.querySelectorAll("[data-renewal]")) {
  const json = { renews: button.value === "renew" };
  button.addEventListener("click", () =>
    act(button, () => call("POST", `orders/${button.dataset.renewal}/renewal`, { json })),
  );
}

for (const button of document.querySelectorAll("[data-pay]")) {
  button.addEventListener("click", () =>
    act(button, () => call("POST", `orders/${button.dataset.pay}/pay/test`, { json: { card: "ok" } })),
  );
}

byId("trial")?.addEventListener("click", (event) =>
  act(event.currentTarget, () => call("POST", "membership/trial", { json: {} })),
);

byId("member")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const months = Number(form.elements.months.value);
  const json = { months, renews: form.elements.renews.checked, quoted_minor: months * Number(form.dataset.price) };
  attempt(form.querySelector("button"), box, async () => {
    await call("POST", "membership", { json, key: newKey() });
    location.assign("/orders");
  });
});
