// Speaking: a request, its progress or refusal, and a player that says what the sound is before it can be played.
import { call, newKey, poll } from "./api.js";
import { attempt, byId, el, report } from "./dom.js";
import { fill, gettext, word } from "./i18n.js";
import { revoked } from "./player.js";
import { stageOf } from "./training.js";

const form = byId("speak");
const box = byId("problem");
const OVER = ["succeeded", "failed", "refused", "cancelled", "held"];

const count = () => (byId("characters").textContent = String([...byId("text").value].length));
byId("text").addEventListener("input", count);
count();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = {
    voice: form.dataset.voice,
    text: form.elements.text.value,
    language: form.elements.language.value,
    container: form.elements.container.value,
  };
  if (form.elements.channel?.value) asked.channel = form.elements.channel.value;
  if (form.elements.territory?.value) asked.territory = form.elements.territory.value.toUpperCase();
  const uses = [...form.querySelectorAll('[name="use"]:checked')].map((one) => one.value);
  if (uses.length) asked.uses = uses;
  if (form.elements.seed.value !== "") asked.seed = Number(form.elements.seed.value);
  attempt(form.querySelector("button"), box, async () => {
    try {
      const request = await call("POST", "speech", { json: asked, key: newKey() });
      byId("work").hidden = false;
      const done = await poll(`speech/${request.id}`, (one) => OVER.includes(one.state), progress);
      await settle(done, asked.text);
    } finally {
      byId("work").hidden = true;
    }
  });
});

function progress(request) {
  byId("bar").value = request.progress;
  const said = stageOf(request);
  if (byId("stage").textContent !== said) byId("stage").textContent = said;
}

async function settle(request, text) {
  if (request.state === "succeeded") {
    const output = await call("GET", `outputs/${request.output}`);
    add(player(output, text));
  } else if (request.state === "held" && request.approval) {
    add(
      note(
        "note",
        gettext("The owner of the voice reads it first"),
        gettext("It is spoken only if the owner approves exactly this text; you need not stay here."),
        "held_for_owner",
      ),
    );
  } else if (request.state === "held") {
    add(
      note(
        "note",
        gettext("A moderator decides"),
        gettext("The policy holds this text. It is spoken only if a moderator allows exactly this text; you need not stay here."),
        "held_for_moderator",
      ),
    );
  } else add(note("note bad", word(request.state), request.error_detail, request.error_code));
}

function note(kind, title, detail, code) {
  const parts = [el("p", {}, el("strong", {}, title)), el("p", {}, detail), el("p", {}, el("code", {}, code))];
  return el("div", { class: kind, role: "status", tabindex: "-1" }, ...parts);
}

/** The label stands before the sound: on the page, in reading order, and as the player's description. */
function player(output, text) {
  const id = `label-${output.id}`;
  const label = fill(
    gettext("Speech made by artificial intelligence in the voice “%(voice)s”. It begins with an audible label of %(seconds)s s."),
    { voice: form.dataset.name, seconds: output.label_seconds.toFixed(1) },
  );
  const address = `/api/v1/outputs/${output.id}`;
  const name = `vouch-${output.id}.${form.elements.container.value}`;
  const sound = el("audio", {
    controls: true,
    preload: "none",
    src: `${address}/audio`,
    "aria-label": gettext("Recording made by artificial intelligence"),
    "aria-describedby": id,
  });
  sound.addEventListener("error", async () => {
    // The element tells no reason; the API does.
    report(box, await call("GET", `outputs/${output.id}/audio`).then(() => null, (error) => error));
  });
  sound.addEventListener("play", async () => {
    // The list says what the file cannot: that it was withdrawn since. Unknown counts as withdrawn.
    const place = output.status;
    if (!place || !(await revoked(`/api/v1/status/${place.list}`, place.index).catch(() => true))) return;
    sound.pause();
    sound.removeAttribute("src");
    sound.load();
  });
  return el(
    "article",
    { class: "card", tabindex: "-1", "aria-describedby": id },
    el("p", { id, class: "label" }, label),
    el("p", {}, text.length > 200 ? `${text.slice(0, 200)} …` : text),
    sound,
    el(
      "p",
      { class: "actions" },
      el("a", { class: "button small", href: `${address}/audio`, download: name }, gettext("Download")),
      el("a", { class: "button small quiet", href: `${address}/receipt`, download: `receipt-${output.id}.json` }, gettext("Receipt")),
    ),
    el("p", { class: "meta" }, fill(gettext("%(seconds)s s, entry %(leaf)s of the log"), { seconds: output.seconds.toFixed(1), leaf: output.leaf })),
  );
}

function add(thing) {
  byId("none").hidden = true;
  byId("results").prepend(thing);
  thing.focus();
}
