// Masks of the voice on this page: made, followed while they are sought, named, ended.
import { call, poll } from "./api.js";
import { attempt, byId } from "./dom.js";
import { word } from "./i18n.js";
import { surely } from "./patience.js";

const card = byId("masks");
const box = byId("mask-problem");
const door = (id) => `masks/${id}`;

/** Follows a mask until it is made or not; then the page says what was measured. */
async function follow(id, say) {
  await poll(door(id), (one) => one.state !== "making", say);
  location.reload();
}

byId("new-mask")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  attempt(form.querySelector("button"), box, async () => {
    const asked = await surely(`voices/${card.dataset.voice}/masks`, { name: form.elements.name.value }, box);
    byId("mask-work").hidden = false;
    try {
      await follow(asked.id, (one) => {
        byId("mask-bar").value = one.progress;
        const said = word(one.stage);
        if (byId("mask-stage").textContent !== said) byId("mask-stage").textContent = said;
      });
    } finally {
      byId("mask-work").hidden = true;
    }
  });
});

for (const row of card.querySelectorAll("[data-mask]")) {
  const id = row.dataset.mask;
  const act = (name, does) => {
    const button = row.querySelector(`[data-${name}]`);
    button?.addEventListener("click", () =>
      attempt(button, box, async () => {
        await does();
        location.reload();
      }),
    );
  };
  act("rename", () => call("POST", `${door(id)}/rename`, { json: { name: row.querySelector("input").value } }));
  act("end", () => call("POST", `${door(id)}/end`, { json: {} }));
  if ("making" in row.dataset) attempt(null, box, () => follow(id, (one) => (row.querySelector("[data-stage]").textContent = word(one.stage))));
}
