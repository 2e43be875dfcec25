// Many lines: a table looked at, spoken, watched, tried again, taken home. The page may be left: ?batch= comes back.
import { Problem, call, sleep, told } from "./api.js";
import { attempt, byId, el, report } from "./dom.js";
import { fill, gettext, lang, word } from "./i18n.js";
import { surely } from "./patience.js";

const form = byId("table");
const box = byId("problem");
const WAIT = 1500;
const FORMATS = { csv: "csv", srt: "srt", txt: "text" };
let watched = new URLSearchParams(location.search).get("batch");

byId("file").addEventListener("change", () => {
  const file = byId("file").files[0];
  const format = FORMATS[file?.name.split(".").pop().toLowerCase()];
  if (format) byId("format").value = format;
});
for (const kind of ["input", "change"]) form.addEventListener(kind, () => (byId("speak").disabled = true));

const most = Number(form.dataset.max);
const tooLarge = () =>
  new Problem(0, {
    code: "table_too_large",
    detail: fill(gettext("This is larger than the %(n)s KiB that are read at once."), { n: Math.floor(most / 1024) }),
    advice: gettext("Split it and send the parts one after another."),
  });

byId("content").addEventListener("paste", (event) => {
  const pasted = event.clipboardData?.getData("text") ?? "";
  if (pasted.length <= most) return;
  event.preventDefault(); // Tens of megabytes in a field stop the browser.
  report(box, tooLarge());
});

/** The bytes of a file as they are: whether they are UTF-8 is for the server to say. */
async function table() {
  const asked = { format: form.elements.format.value };
  const file = byId("file").files[0];
  const { value } = form.elements.content;
  if ((file ?? new Blob([value])).size > most) throw tooLarge();
  if (!file) return { ...asked, content: value };
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return { ...asked, content_base64: btoa(text) };
}

byId("check").addEventListener("click", () =>
  attempt(byId("check"), box, async () => {
    byId("preview").hidden = true;
    const shown = await call("POST", "batches/preview", { json: await table() });
    const good = shown.rows.filter((row) => !row.problems.some((one) => one.stops)).length;
    byId("preview-said").textContent = fill(
      gettext("%(good)s of %(all)s lines can be spoken, %(characters)s characters."),
      { good, all: shown.lines, characters: shown.characters },
    ) + (shown.ignored.length ? ` ${gettext("Ignored columns:")} ${shown.ignored.join(", ")}` : "");
    byId("rows").replaceChildren(...shown.rows.map(rowOf));
    byId("preview").hidden = false;
    byId("speak").disabled = good === 0;
    byId("preview").focus();
  }),
);

const ROWS = {
  seed_invalid: gettext("This is no seed."),
  pause_invalid: gettext("This pause is too long."),
  file_invalid: gettext("A file’s name is letters, digits, spaces and . ( ) - _"),
  file_twice: gettext("Another line above has the same file."),
  time_backwards: gettext("It ends before it begins, or begins before the one above it."),
  time_too_late: gettext("It ends later than a narration may."),
  time_overlaps: gettext("It begins before the one above it ends."),
};

/** What is wrong with a row: the server's words where they are the page's. */
const wrong = ({ code, detail }) => (lang === "en" ? detail : (ROWS[code] ?? told(code, detail)));

function rowOf(row) {
  const time = row.starts_ms === null ? row.file : `${clock(row.starts_ms)} – ${clock(row.ends_ms)}`;
  const problems = row.problems.map((one) => el("div", {}, el("code", {}, one.code), ` ${wrong(one)}`));
  return el("tr", {}, el("td", {}, String(row.number)), el("td", { dir: "auto" }, row.text), el("td", {}, time), el("td", {}, ...problems));
}

const clock = (ms) => `${Math.floor(ms / 60000)}:${((ms % 60000) / 1000).toFixed(1).padStart(4, "0")}`;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = form.elements;
  attempt(byId("speak"), box, async () => {
    const asked = {
      ...(await table()),
      voice: form.dataset.voice,
      kind: chosen.kind.value,
      language: chosen.language.value,
      container: chosen.container.value,
      pause_ms: Math.round(Number(chosen.pause.value) * 1000),
      ...(chosen.mask?.value ? { mask: chosen.mask.value } : {}),
    };
    const batch = await surely("batches", asked, box);
    history.replaceState(null, "", `?batch=${batch.id}`);
    await watch(batch.id);
  });
});

/** Follows a batch until it is over, or another one is watched. */
async function watch(id) {
  watched = id;
  byId("work").hidden = false;
  byId("work").focus();
  for (let batch = { state: "running" }; watched === id && batch.state === "running"; ) {
    try {
      batch = await call("GET", `batches/${id}`);
      show(batch, await lines(id));
    } catch (error) {
      if (![0, 429, 502, 503, 504].includes(error.status)) throw error;
    }
    if (batch.state === "running") await sleep(WAIT);
  }
}

/** All lines: the list has pages. */
async function lines(id) {
  const found = [];
  for (let cursor = ""; ; ) {
    const answer = await fetch(`/api/v1/batches/${id}/lines?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, { credentials: "same-origin" });
    const data = await answer.json();
    if (!answer.ok) throw Problem.of(answer.status, data);
    found.push(...data);
    cursor = answer.headers.get("Next-Cursor");
    if (!cursor) return found;
  }
}

function show(batch, found) {
  const counts = batch.progress.lines;
  byId("bar").value = batch.progress.share;
  const said = Object.keys(counts).filter((state) => counts[state]).map((state) => `${word(state)}: ${counts[state]}`).join(", ");
  if (byId("said").textContent !== said) byId("said").textContent = said;
  byId("zip").hidden = !counts.done;
  byId("zip").href = `/api/v1/batches/${batch.id}/zip`;
  byId("retry").hidden = !counts.failed || batch.state === "cancelled";
  byId("cancel").hidden = batch.state !== "running";
  byId("lines").replaceChildren(...found.map((line) => lineOf(batch, line)));
}

function lineOf(batch, line) {
  const parts = [];
  if (line.error_code) parts.push(el("code", {}, line.error_code), ` ${told(line.error_code, line.error_detail)} `);
  if (line.late_ms) parts.push(fill(gettext("%(seconds)s s later than its subtitle"), { seconds: (line.late_ms / 1000).toFixed(1) }), " ");
  if (line.output) parts.push(el("a", { href: `/api/v1/outputs/${line.output}/audio`, download: `vouch-${line.output}.${batch.container}` }, gettext("Download")));
  if (line.state === "failed" && batch.state !== "cancelled") {
    const again = el("button", { type: "button", class: "small quiet" }, fill(gettext("Try line %(n)s again"), { n: line.number }));
    again.addEventListener("click", () => act(again, `batches/${batch.id}/lines/${line.number}/retry`));
    parts.push(again);
  }
  return el("tr", {}, el("td", {}, String(line.number)), el("td", {}, el("span", { class: `chip ${line.state}` }, word(line.state))), el("td", {}, ...parts));
}

const act = (button, path) =>
  attempt(button, box, async () => {
    const batch = await call("POST", path);
    await watch(batch.id);
  });
byId("retry").addEventListener("click", () => act(byId("retry"), `batches/${watched}/retry`));
byId("cancel").addEventListener("click", () => act(byId("cancel"), `batches/${watched}/cancel`));

if (watched) watch(watched).catch((error) => report(box, error));
