// Tracing: a file goes up as it is; the answer comes back in plain words.
import { Problem, call, newKey, poll } from "./api.js";
import { byId, el, report } from "./dom.js";
import { fill, gettext, ngettext, word } from "./i18n.js";
import { patiently } from "./patience.js";
import { Meter, Recorder, wav } from "./recorder.js";
import { LARGEST, upload } from "./upload.js";

const LONGEST_S = 60; // Recordings longer than this add time and no certainty.

const drop = byId("drop");
const box = byId("problem");
let running = false;

byId("file").addEventListener("change", (event) => event.target.files[0] && trace(event.target.files[0]));
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) trace(event.dataTransfer.files[0]);
});

byId("record").addEventListener("click", () => record().catch((error) => report(box, error)));

/** Records until stopped, at most LONGEST_S, and traces what was heard. */
async function record() {
  if (running) return;
  report(box, null);
  const recorder = await Recorder.open({ worklet: byId("record").dataset.worklet });
  const meter = new Meter(document.querySelector("[data-level]"));
  const chunks = [];
  recorder.onLevel = (level) => meter.take(level);
  byId("record").disabled = true;
  byId("stop").hidden = false;
  const ended = new Promise((resolve) => {
    byId("stop").addEventListener("click", resolve, { once: true });
    recorder.onLost = resolve;
    recorder.onChunk = (pcm) => chunks.push(pcm) >= LONGEST_S && resolve();
  });
  recorder.start();
  byId("stop").focus();
  await ended;
  await recorder.stop();
  recorder.close();
  meter.off();
  byId("record").disabled = false;
  byId("stop").hidden = true;
  await trace(wav(chunks, recorder.rate));
}

/** Shows what `work()` finds; one at a time. */
async function ask(work) {
  if (running) return;
  running = true;
  report(box, null);
  byId("answer").hidden = true;
  byId("work").hidden = false;
  try {
    show(await work());
  } catch (error) {
    report(box, error);
  } finally {
    running = false;
    byId("work").hidden = true;
    byId("file").value = "";
  }
}

const trace = (file) =>
  ask(async () => {
    const most = Number(drop.dataset.maxBytes);
    if (file.size > most) {
      throw new Problem(413, {
        code: "too_large",
        detail: fill(gettext("This file is larger than %(n)s MiB."), { n: Math.floor(most / 2 ** 20) }),
        advice: gettext("Send a part of it: ten seconds of speech are enough."),
      });
    }
    byId("stage").textContent = gettext("Sending …");
    const key = newKey(); // a recording that arrived and whose answer was lost is not traced twice
    const onWait = (waiting) =>
      (byId("stage").textContent = waiting ? gettext("It goes on by itself as soon as the connection is back.") : gettext("Sending …"));
    const { id } = await (file.size > LARGEST ? inPieces(file, key, onWait) : patiently(() => call("POST", "trace", { body: file, key }), { onWait }));
    // The address brings the answer back: after a reload, or when it takes long.
    history.replaceState(null, "", `?trace=${id}`);
    return answerOf(id);
  });

/** Sends a large file so that a broken line costs one piece of it; returns the trace. */
async function inPieces(file, key, onWait) {
  const { id } = await patiently(() => call("POST", "trace/uploads", { json: {}, key }), { onWait });
  const bar = byId("work").querySelector("progress");
  try {
    return await upload(`trace/uploads/${id}`, file, { key: `${key}-end`, onWait, onProgress: (share) => (bar.value = share) });
  } finally {
    bar.removeAttribute("value");
  }
}

/** The answer to the trace `id`, once there is one. Throws Problem. */
async function answerOf(id) {
  byId("stage").textContent = gettext("Looking for our mark …");
  const found = await poll(
    `trace/${id}`,
    (one) => one.state !== "queued" && one.state !== "waiting",
    (one) => {
      if (one.state === "waiting") {
        byId("stage").textContent = fill(gettext("You have traced many recordings. This answer comes at %(time)s."), {
          time: new Date(one.ready_at).toLocaleTimeString(),
        });
      }
    },
  );
  if (found.state === "failed") throw Problem.of(422, { code: found.error_code, detail: found.error_detail });
  return found;
}

const earlier = new URLSearchParams(location.search).get("trace");
if (earlier) ask(() => answerOf(encodeURIComponent(earlier)));

function show({ id, verdict, hits, label, details_at }) {
  const known = hits.filter((hit) => hit.made_at);
  const unclear = verdict === "inconclusive";
  byId("verdict").textContent = known.length
    ? gettext("Yes: made here by artificial intelligence")
    : hits.some((hit) => hit.output_state === "transplanted")
      ? gettext("Our mark, laid on other sound: not made here")
    : hits.length
      ? gettext("Our mark, but no recording that we know")
    : unclear
      ? gettext("Cannot be told from this recording")
      : gettext("No mark of ours");
  byId("meaning").textContent = known.length
    ? fill(ngettext("We found %(n)s recording of ours in it.", "We found %(n)s recordings of ours in it.", known.length), { n: known.length })
    : unclear && !hits.length
      ? gettext("We found no mark of ours, but a recording this short or this damaged could hide one. Send a longer or clearer piece: half a minute of speech is enough.")
    : gettext("This says only that we did not find a recording of ours. It may still be synthetic, made elsewhere or damaged beyond reading.");
  const desk = byId("answer").dataset.desk;
  byId("hits").replaceChildren(
    ...hits.map(card),
    ...(hits.length ? [labels(label)] : []),
    ...(hits.length && hits[0].score === undefined ? [later(id, details_at)] : []),
    ...(desk ? [el("p", {}, el("a", { href: `${desk}${id}` }, gettext("Everything about this trace")))] : []),
  );
  byId("answer").hidden = false;
  byId("answer").focus();
}

const AUDIBLE = { true: gettext("heard"), false: gettext("not in this recording any more") };
const METADATA = {
  present: gettext("in the file"),
  none: gettext("not in this file any more"),
  several: gettext("more than one: somebody added to it"),
  damaged: gettext("damaged"),
  unreadable: gettext("cannot be read from this kind of file"),
};

function labels(label) {
  const pairs = [
    [gettext("Audible label"), AUDIBLE[String(label.audible)] ?? gettext("not known")],
    [gettext("Label in the file’s metadata"), METADATA[label.metadata] ?? label.metadata],
  ];
  const list = pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  return el("article", { class: "card" }, el("h3", {}, gettext("Labels")), el("dl", { class: "pairs" }, ...list));
}

/** Figures come late, so that nobody can take a mark out by watching them fall. */
function later(id, at) {
  const time = new Date(at).toLocaleTimeString();
  return el(
    "p",
    { class: "help" },
    fill(gettext("From %(time)s on, the strength of the mark and a signed report can be had under this number:"), { time }),
    " ",
    el("a", { href: `/api/v1/trace/${id}/report.pdf` }, el("code", {}, id)),
  );
}

/** "1 in 1 000 000": what a bound of 1e-6 says. */
function odds(bound) {
  return bound > 0 ? fill(gettext("at most 1 in %(n)s"), { n: Math.floor(1 / bound).toLocaleString() }) : gettext("none measurable");
}

function card(hit) {
  const rows = [];
  const add = (name, value) => rows.push(el("dt", {}, name), el("dd", {}, value));
  if (hit.made_at) {
    add(gettext("Voice"), hit.voice);
    add(gettext("Made"), new Date(hit.made_at).toLocaleString());
    add(gettext("Made for"), word(hit.use));
    add(gettext("Speaker’s consent now"), el("span", { class: `chip ${hit.consent_state}` }, word(hit.consent_state)));
    if (hit.licence_state) add(gettext("Licence now"), word(hit.licence_state));
    add(gettext("Recording now"), word(hit.output_state));
  }
  if (hit.score !== undefined) {
    add(gettext("Where in the file"), `${hit.start_s.toFixed(1)} – ${hit.end_s.toFixed(1)} s`);
    add(gettext("Strength of the mark"), hit.score.toPrecision(3));
    add(gettext("Chance that this is a mistake"), odds(hit.false_positive_bound));
  }
  add(gettext("Reference"), el("code", {}, hit.output));
  const stands = hit.consent_state === "active" && hit.output_state === "live";
  const warning =
    hit.made_at && !stands && hit.consent_state === "active"
      ? el("p", { class: "note bad" }, gettext("This recording has been withdrawn from use. Please do not spread it."))
      : hit.made_at && !stands
      ? el("p", { class: "note bad" }, gettext("The speaker’s consent does not stand any more. Please do not spread this recording."))
      : null;
  const rehearsal = hit.rehearsal ? el("p", { class: "note" }, gettext("Made in a rehearsal.")) : null;
  return el("article", { class: "card" }, warning, rehearsal, el("dl", { class: "pairs" }, ...rows));
}
