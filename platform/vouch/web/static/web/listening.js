// Listening to what a case is about. Nothing plays by itself: the waveform is drawn, cut at its pauses, and each piece is
// played when it is asked for, softly, muffled unless the moderator turns that off. What was heard is counted.
import { call, Problem } from "./api.js";
import { byId, el, report } from "./dom.js";
import { gettext } from "./i18n.js";

const WIDTH = 800;
const HEIGHT = 100;
const PAUSE_S = 0.25;
const SHORTEST_S = 1.5;
const LONGEST_S = 8;
const MUFFLED_HZ = 1200;
const LOUDEST = 0.5;

let context = null;
let playing = null;

/** Where the sound is cut: at pauses, into pieces of 1.5 to 8 s. Returns [start, end] pairs in seconds. */
export function segmentsOf(samples, rate) {
  const frame = Math.round(rate * 0.02);
  const levels = [];
  for (let at = 0; at < samples.length; at += frame) {
    let sum = 0;
    for (let i = at; i < Math.min(at + frame, samples.length); i++) sum += samples[i] ** 2;
    levels.push(Math.sqrt(sum / frame));
  }
  const quiet = 0.08 * Math.max(...levels, 1e-6);
  const cuts = [0];
  let still = 0;
  levels.forEach((level, n) => {
    still = level < quiet ? still + 1 : 0;
    const now = (n * frame) / rate;
    const since = now - cuts.at(-1);
    if ((still * 0.02 >= PAUSE_S && since >= SHORTEST_S) || since >= LONGEST_S) {
      cuts.push(now);
      still = 0;
    }
  });
  const end = samples.length / rate;
  if (cuts.length > 1 && end - cuts.at(-1) < SHORTEST_S / 2) cuts.pop();
  return cuts.map((start, n) => [start, cuts[n + 1] ?? end]);
}

/** The outline as an SVG: one line a column, a mark at each cut. */
export function drawn(samples, segments, rate) {
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg");
  made.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  made.setAttribute("class", "outline");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", gettext("Waveform, cut into segments"));
  const bars = [];
  for (let x = 0; x < WIDTH; x += 2) {
    const from = Math.floor((x / WIDTH) * samples.length);
    const to = Math.floor(((x + 2) / WIDTH) * samples.length);
    let peak = 0;
    for (let i = from; i < to; i++) peak = Math.max(peak, Math.abs(samples[i]));
    const half = Math.max((peak * HEIGHT) / 2, 0.5);
    bars.push(`M${x + 1} ${(HEIGHT / 2 - half).toFixed(1)}V${(HEIGHT / 2 + half).toFixed(1)}`);
  }
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", bars.join(""));
  made.append(path);
  for (const [start] of segments.slice(1)) {
    const line = document.createElementNS(space, "line");
    const x = (WIDTH * start * rate) / samples.length;
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: 0, y2: HEIGHT })) line.setAttribute(name, value);
    made.append(line);
  }
  return made;
}

function stop() {
  if (!playing) return;
  const { source, began, button } = playing;
  playing = null;
  source.onended = null;
  source.stop();
  button.removeAttribute("aria-pressed");
  const seconds = Math.min(60, Math.max(1, Math.round(context.currentTime - began)));
  call("POST", "desk/listened", { json: { seconds } }).catch((error) => report(byId("problem"), error));
}

function play(buffer, [start, end], button) {
  stop();
  context ??= new AudioContext();
  context.resume();
  const source = new AudioBufferSourceNode(context, { buffer });
  const gain = new GainNode(context, { gain: Math.min(Number(byId("volume").value), LOUDEST) });
  if (byId("softened").checked) {
    const one = { channelCount: 1, channelCountMode: "explicit" }; // both channels of a file as one
    const muffled = new BiquadFilterNode(context, { type: "lowpass", frequency: MUFFLED_HZ, ...one });
    source.connect(muffled).connect(gain);
  } else source.connect(gain);
  gain.connect(context.destination);
  byId("volume").oninput = () => (gain.gain.value = Math.min(Number(byId("volume").value), LOUDEST));
  button.setAttribute("aria-pressed", "true");
  source.onended = stop;
  source.start(0, start, end - start);
  playing = { source, began: context.currentTime, button };
}

async function open(card) {
  const opener = card.querySelector("[data-open]");
  if (card.dataset.opened) return;
  card.dataset.opened = "yes";
  opener.disabled = true;
  report(byId("problem"), null);
  try {
    const answer = await fetch(card.dataset.src, { credentials: "same-origin" });
    if (!answer.ok) throw Problem.of(answer.status, await answer.json().catch(() => ({})));
    const bytes = await answer.arrayBuffer();
    const buffer = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(bytes);
    const samples = buffer.getChannelData(0);
    const segments = segmentsOf(samples, buffer.sampleRate);
    const group = card.querySelector(".segments");
    opener.replaceWith(drawn(samples, segments, buffer.sampleRate));
    segments.forEach((one, n) => {
      const [from, to] = one.map((seconds) => seconds.toFixed(1));
      const button = el("button", { type: "button", class: "quiet" }, `▶ ${n + 1} · ${from}–${to} s`);
      button.addEventListener("click", () => play(buffer, one, button));
      group.append(button);
    });
  } catch (error) {
    delete card.dataset.opened;
    opener.disabled = false;
    report(byId("problem"), error);
  }
}

const cards = [...document.querySelectorAll(".sound")];
for (const card of cards) card.querySelector("[data-open]").addEventListener("click", () => open(card));
byId("stop")?.addEventListener("click", stop);
addEventListener("pagehide", stop);
// Whoever holds the case sees the outline at once; whoever only looks in asks for it.
if (byId("listening")?.dataset.draw !== undefined && cards.length) open(cards[0]);
