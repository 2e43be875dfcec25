// The market: order characters, offer a voice, take an offer back.
import { call, newKey } from "./api.js";
import { attempt, byId } from "./dom.js";
import { fill, gettext } from "./i18n.js";

const box = byId("problem");
const done = byId("done");

for (const form of document.querySelectorAll("[data-order]")) {
  let key = newKey();
  form.addEventListener("change", () => (key = newKey()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const json = { listing: form.dataset.order, characters: Number(form.elements.characters.value) };
    attempt(form.querySelector("button"), box, async () => {
      const order = await call("POST", "orders", { json, key });
      key = newKey();
      if (order.state === "fulfilled") location.reload();
      else {
        done.textContent = fill(gettext("Ordered (%(id)s). The licence begins when the payment has arrived."), { id: order.id });
        done.hidden = false;
      }
    });
  });
}

byId("offer")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const json = {
    voice: form.elements.voice.value,
    title: form.elements.title.value.trim(),
    price_minor: Number(form.elements.price_minor.value),
    currency: form.elements.currency.value,
    licence_days: Number(form.elements.licence_days.value),
    languages: [...form.querySelectorAll('[name="language"]:checked')].map((one) => one.value),
  };
  attempt(form.querySelector("button"), box, async () => {
    await call("POST", "listings", { json, key: newKey() });
    location.reload();
  });
});

for (const button of document.querySelectorAll("[data-take-back]")) {
  button.addEventListener("click", () =>
    attempt(button, box, async () => {
      await call("POST", `listings/${button.dataset.takeBack}/withdraw`, { json: {} });
      location.reload();
    }),
  );
}
