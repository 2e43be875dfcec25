// Every recording of mine: words from this browser's memory, searched here, the rest from the server.
import { attempt, byId, el } from "./dom.js";
import { fill, gettext, ngettext } from "./i18n.js";
import { onParts } from "./parts.js";
import { forget, known, recall, search } from "./remember.js";
import { Take } from "./take.js";

const MOST_IDS = 40;
const box = byId("problem");
const form = byId("search");

/** Found by words here, fetched by number there: the words never leave this computer for it. */
function byWords() {
  form.elements.ids.value = search(form.elements.q.value).slice(0, MOST_IDS).join(",");
}
form.addEventListener("submit", byWords, { capture: true }); // before htmx reads the form

function hear(row) {
  const { output, request, voice } = JSON.parse(row.dataset.take);
  const said = recall(request.id);
  if (said) row.querySelector("[data-said]").textContent = said;
  row.querySelector("[data-listen]")?.addEventListener("click", (event) =>
    attempt(event.target, box, async () => {
      const onReuse = row.dataset.again ? () => location.assign(row.dataset.again) : null;
      const take = new Take(output, request, { text: said, voice, onReuse });
      row.replaceChildren(take.root);
      take.root.focus();
      await take.play();
    }),
  );
}

onParts((root) => root.querySelectorAll("[data-take]").forEach(hear));

const n = known();
byId("memory").hidden = n === 0;
byId("memory-said").textContent = fill(
  ngettext("This browser remembers the words of %(n)s recording.", "This browser remembers the words of %(n)s recordings.", n),
  { n },
);
byId("forget").addEventListener("click", () => {
  forget();
  byId("memory").replaceChildren(el("p", { role: "status" }, gettext("Forgotten on this computer.")));
  for (const one of document.querySelectorAll("[data-said]")) one.textContent = "";
});
