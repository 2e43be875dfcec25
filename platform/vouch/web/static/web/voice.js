// The studio: a text, how it is to sound, one or two versions of it, and what was made before.
import { call, newKey, poll, told } from "./api.js";
import { Compare } from "./compare.js";
import { attempt, byId, el, report } from "./dom.js";
import { fill, gettext, ngettext, word } from "./i18n.js";
import { Panel } from "./manner.js";
import { offerSamples } from "./moods.js";
import { surely } from "./patience.js";
import { recall, remember } from "./remember.js";
import { Take } from "./take.js";
import { stageOf } from "./training.js";

const form = byId("speak");
const box = byId("problem");
const OVER = ["succeeded", "failed", "refused", "cancelled", "held"];
const MOST_SEED = Number(form.elements.seed.max);
const PER_SECOND = { zh: 4.5 }; // Characters spoken in a second, about.
const LATIN_PER_SECOND = 14;
const LABEL_S = 4;
const DRAFT = `vouch-draft:${form.dataset.voice}`; // In this tab only: a reload loses neither text nor work.

const panel = new Panel(form);
const text = byId("text");
let comparing = false;

// -- the text ---------------------------------------------------------------------------------------------------------

function count() {
  const n = [...text.value].length;
  byId("characters").textContent = String(n);
  const seconds = Math.ceil(n / (PER_SECOND[form.elements.language.value] ?? LATIN_PER_SECOND)) + LABEL_S;
  const twice = comparing ? 2 : 1;
  const cost = form.dataset.left
    ? n * twice > Number(form.dataset.left)
      ? gettext("This is more than is left under the licence.")
      : fill(gettext("%(n)s characters of the licence; %(left)s would be left."), { n: n * twice, left: form.dataset.left - n * twice })
    : gettext("Your own voice: nothing is charged.");
  byId("cost").textContent = n ? `${fill(gettext("About %(n)s s with the label."), { n: seconds })} ${cost}` : cost;
}

function draft() {
  const { language, container, seed, mask } = form.elements;
  const settings = { language: language.value, container: container.value, seed: seed.value, mask: mask?.value, panel: panel.keep(), comparing };
  sessionStorage.setItem(DRAFT, JSON.stringify({ text: text.value, work: waiting, ...settings }));
}
addEventListener("pagehide", draft);

text.addEventListener("paste", (event) => {
  const pasted = event.clipboardData?.getData("text") ?? "";
  const room = text.maxLength - text.value.length + (text.selectionEnd - text.selectionStart);
  byId("too-long").textContent = "";
  if (pasted.length <= room) return;
  // A book pasted whole would be cut by the browser without a word.
  event.preventDefault();
  text.setRangeText(pasted.slice(0, room).replace(/[\uD800-\uDBFF]$/, ""), text.selectionStart, text.selectionEnd, "end");
  byId("too-long").textContent = fill(gettext("Only the first %(n)s characters fit; the rest was left out."), { n: text.maxLength });
  count();
});
text.addEventListener("input", () => {
  count();
  draft();
});
form.elements.language.addEventListener("change", () => {
  count();
  draft();
});

// -- settings ---------------------------------------------------------------------------------------------------------

byId("compare").addEventListener("change", () => {
  beside(byId("compare").checked);
  if (comparing) panel.sets.b = panel.read();
  else panel.turn("a");
});

/** One version, or two beside each other. */
function beside(two) {
  byId("compare").checked = comparing = two;
  byId("sets").hidden = !comparing;
  byId("speak-words").textContent = comparing ? gettext("Speak A and B") : gettext("Speak");
  count();
}

/** In `language`, if the voice may (still) speak it. */
function speakIn(language) {
  const { options } = form.elements.language;
  if ([...options].some((one) => one.value === language)) form.elements.language.value = language;
}

/** Through a mask, pitch and size are the mask's: their sliders rest. An ended mask is none. */
function wear(id) {
  form.elements.mask.value = id;
  if (form.elements.mask.selectedIndex < 0) form.elements.mask.value = "";
  panel.rest(["pitch", "formants"], form.elements.mask.value !== "");
}
form.elements.mask?.addEventListener("change", () => wear(form.elements.mask.value));

const drawn = () => crypto.getRandomValues(new Uint32Array(1))[0] % (MOST_SEED + 1);
byId("new-seed").addEventListener("click", () => (form.elements.seed.value = String(drawn())));

function reuse(request, said) {
  panel.set(request.manner);
  form.elements.seed.value = String(request.seed);
  speakIn(request.language);
  if (form.elements.container) form.elements.container.value = request.container;
  if (form.elements.mask) wear(request.mask ?? "");
  if (said) text.value = said;
  count();
  draft();
  text.focus();
}

// -- speaking ---------------------------------------------------------------------------------------------------------

let waiting = []; // Requests under way: [{id, text}]; until the server has answered [{key, asked, text}].

function wanted(manner, seed, mask = form.elements.mask?.value) {
  const asked = {
    voice: form.dataset.voice,
    text: text.value,
    language: form.elements.language.value,
    container: form.elements.container.value,
    manner,
  };
  if (form.elements.channel?.value) asked.channel = form.elements.channel.value;
  if (form.elements.territory?.value) asked.territory = form.elements.territory.value.toUpperCase();
  const uses = [...form.querySelectorAll('[name="use"]:checked')].map((one) => one.value);
  if (uses.length) asked.uses = uses;
  if (seed !== null) asked.seed = seed;
  if (mask) asked.mask = mask;
  return asked;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = form.elements.seed.value;
  const seed = typed === "" ? null : Number(typed);
  attempt(byId("go"), box, async () => {
    if (!comparing) return speak([wanted(panel.read(), seed)]);
    // Two versions are compared fairly only from one seed.
    const same = seed ?? drawn();
    return speak(panel.both().map((manner) => wanted(manner, same)));
  });
});

// The trained voice and the instant one: the same text, settings and seed.
byId("beside-instant")?.addEventListener("click", (event) => {
  if (!form.reportValidity()) return;
  attempt(event.target, box, () => {
    const one = wanted(panel.read(), form.elements.seed.value === "" ? drawn() : Number(form.elements.seed.value), "");
    return speak([one, { ...one, instant: true }]);
  });
});

offerSamples(panel, box, { asking: (manner, seed) => wanted(manner, seed, ""), settled, takeOf });

/** Asks for one or two recordings and shows them when they are done. */
async function speak(asked) {
  waiting.push(...asked.map((one) => ({ key: newKey(), asked: one, text: one.text })));
  await hear();
}

/** Has the server take what it has not answered to yet: under the same key after a reload, so that it is asked once. */
async function taken() {
  try {
    for (const one of waiting.filter(({ id }) => !id)) {
      draft();
      const { id } = await surely("speech", one.asked, box, one.key);
      remember(id, one.text);
      Object.assign(one, { id, asked: null });
    }
  } finally {
    waiting = waiting.filter(({ id }) => id); // What was refused is not asked for again.
    draft();
  }
}

/** Follows what is under way to its end. */
async function hear() {
  await taken();
  const under = waiting;
  const at = new Map();
  byId("work").hidden = false;
  try {
    const done = await Promise.all(
      under.map(({ id }) =>
        poll(`speech/${id}`, (one) => OVER.includes(one.state), (one) => {
          at.set(id, one.progress);
          progress(one, [...at.values()]);
        }),
      ),
    );
    waiting = [];
    const takes = await Promise.all(done.map((request, n) => settled(request, under[n].text)));
    if (takes.length === 2 && takes.every(Boolean)) add(new Compare(...takes).root);
    else for (const take of takes) if (take) add(take.root);
    for (const take of takes) take?.load().catch((error) => report(take.problem, error));
  } finally {
    byId("work").hidden = true;
    draft();
  }
}

function progress(request, all) {
  byId("bar").value = Math.min(...all);
  const said = stageOf(request);
  if (byId("stage").textContent !== said) byId("stage").textContent = said;
}

/** A take, or null when there is none: then a note says why. */
async function settled(request, said) {
  if (request.state === "succeeded") return takeOf(await call("GET", `outputs/${request.output}`), request, said);
  if (request.state === "held" && request.approval) {
    note("note", gettext("The owner of the voice reads it first"), gettext("It is spoken only if the owner approves exactly this text; you need not stay here."), "held_for_owner");
  } else if (request.state === "held") {
    note("note", gettext("A moderator decides"), gettext("The policy holds this text. It is spoken only if a moderator allows exactly this text; you need not stay here."), "held_for_moderator");
  } else note("note bad", word(request.state), told(request.error_code, request.error_detail), request.error_code);
  return null;
}

function takeOf(output, request, said) {
  return new Take(output, request, {
    text: said,
    voice: form.dataset.name,
    formats: form.dataset.containers.split(" "),
    onReuse: () => reuse(request, said),
    onFormat: async (container) => {
      const again = { ...wanted(request.manner, request.seed, request.mask ?? ""), text: said, language: request.language, container, instant: output.instant };
      await speak([again]);
      byId("results").querySelector("a[download]")?.click();
    },
  });
}

function note(kind, title, detail, code) {
  const parts = [el("p", {}, el("strong", {}, title)), el("p", {}, detail), el("p", {}, el("code", {}, code))];
  add(el("div", { class: kind, role: "status", tabindex: "-1" }, ...parts));
}

function add(thing) {
  byId("none").hidden = true;
  byId("results").prepend(thing);
  thing.focus();
}

// -- what was made before ---------------------------------------------------------------------------------------------

for (const row of document.querySelectorAll("[data-take]")) {
  const { output, request } = JSON.parse(row.dataset.take);
  const said = recall(request.id);
  if (said) row.querySelector("[data-said]").textContent = said;
  row.querySelector("[data-listen]")?.addEventListener("click", (event) =>
    attempt(event.target, box, async () => {
      const take = takeOf(output, request, said);
      row.replaceWith(el("li", {}, take.root));
      take.root.focus();
      await take.play();
    }),
  );
}

// -- coming back ------------------------------------------------------------------------------------------------------

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(DRAFT) ?? "null");
  } catch {
    return null;
  }
}

const again = new URLSearchParams(location.search).get("again"); // From the list of recordings: its settings.
const left = kept();
if (left && !text.value) {
  text.value = left.text ?? "";
  for (const name of ["container", "seed"]) form.elements[name].value = left[name] ?? form.elements[name].value;
  speakIn(left.language);
  if (left.panel) panel.restore(left.panel);
  if (left.mask && form.elements.mask) wear(left.mask);
  beside(left.comparing === true);
}
count();
if (again) {
  attempt(null, box, async () => reuse(await call("GET", `speech/${again}`), recall(again)));
}
if (left?.work?.length) {
  waiting = left.work;
  const n = waiting.length;
  byId("stage").textContent = fill(ngettext("%(n)s recording was under way.", "%(n)s recordings were under way.", n), { n });
  attempt(byId("go"), box, async () => {
    try {
      await hear();
    } catch (error) {
      if (error.status !== 404) throw error;
      waiting = [];
      draft();
    }
  });
}
