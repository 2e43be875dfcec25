// The outline of a sound, and a slider over it: seen, dragged, and moved with the keyboard.
import { el } from "./dom.js";
import { fill, gettext } from "./i18n.js";

const BARS = 180;
const HEIGHT = 64;
const RATE = 8000; // Enough for an outline, and a quarter of an hour still fits in memory.
const STEP_S = 1;
const JUMP_S = 5;
const SPACE = "http://www.w3.org/2000/svg";
let made = 0;

/** The outline of an encoded sound: `{peaks, seconds}`, peaks 0 to 1. Throws when the browser cannot decode it. */
export async function outlineOf(bytes) {
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  const samples = sound.getChannelData(0);
  const step = samples.length / BARS;
  const peaks = Array.from({ length: BARS }, (_, n) => {
    let peak = 0;
    for (let i = Math.floor(n * step); i < Math.floor((n + 1) * step); i++) peak = Math.max(peak, Math.abs(samples[i]));
    return peak;
  });
  const most = Math.max(...peaks, 1e-6);
  return { peaks: peaks.map((one) => one / most), seconds: sound.duration };
}

function svg(tag, attributes, ...children) {
  const one = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...children);
  return one;
}

export class Wave {
  /** `name`: what a screen reader calls it; `onSeek(seconds)` and `onToggle()` are what it asks for. */
  constructor(name, { onSeek, onToggle }) {
    Object.assign(this, { onSeek, seconds: 0, at: 0 });
    this.box = el("div", { class: "wave", role: "slider", tabindex: "0", "aria-label": name, "aria-valuemin": "0" });
    const clip = `played-${++made}`;
    this.played = svg("rect", { x: 0, y: 0, width: 0, height: HEIGHT });
    this.spoken = svg("rect", { class: "spoken-label", x: 0, y: 0, width: 0, height: HEIGHT });
    this.paths = [svg("path", { class: "all" }), svg("path", { class: "played", "clip-path": `url(#${clip})` })];
    this.cursor = svg("rect", { class: "cursor", x: 0, y: 0, width: 1.2, height: HEIGHT });
    const size = { viewBox: `0 0 ${BARS * 4} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const clipped = svg("clipPath", { id: clip }, this.played);
    this.box.append(svg("svg", size, clipped, this.spoken, ...this.paths, this.cursor));
    this.box.addEventListener("keydown", (event) => {
      const moves = {
        ArrowRight: this.at + STEP_S,
        ArrowLeft: this.at - STEP_S,
        ArrowUp: this.at + STEP_S,
        ArrowDown: this.at - STEP_S,
        PageUp: this.at + JUMP_S,
        PageDown: this.at - JUMP_S,
        Home: 0,
        End: this.seconds,
      };
      if (event.key === " ") onToggle();
      else if (event.key in moves) this.seek(moves[event.key]);
      else return;
      event.preventDefault();
    });
    const point = (event) => {
      const box = this.box.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.seconds);
    };
    this.box.addEventListener("pointerdown", (event) => {
      if (!this.seconds) return;
      this.box.setPointerCapture(event.pointerId);
      point(event);
      this.box.onpointermove = point;
    });
    for (const end of ["pointerup", "pointercancel"]) this.box.addEventListener(end, () => (this.box.onpointermove = null));
    this.draw(Array(BARS).fill(0.04));
    this.length(0);
  }

  draw(peaks) {
    const bars = peaks.map((peak, n) => {
      const half = Math.max(1, (peak * HEIGHT) / 2 - 1);
      return `M${n * 4 + 2} ${(HEIGHT / 2 - half).toFixed(1)}V${(HEIGHT / 2 + half).toFixed(1)}`;
    });
    for (const path of this.paths) path.setAttribute("d", bars.join(""));
  }

  /** How long the sound is, and how much of its beginning is the spoken label. */
  length(seconds, label = 0) {
    this.seconds = seconds;
    this.box.setAttribute("aria-valuemax", seconds.toFixed(1));
    this.spoken.setAttribute("width", seconds ? (BARS * 4 * label) / seconds : 0);
    this.set(0);
  }

  seek(to) {
    if (this.seconds) this.onSeek(Math.min(Math.max(to, 0), this.seconds));
  }

  set(at) {
    this.at = at;
    const x = this.seconds ? (BARS * 4 * at) / this.seconds : 0;
    this.played.setAttribute("width", x);
    this.cursor.setAttribute("x", Math.min(x, BARS * 4 - 1.2));
    this.box.setAttribute("aria-valuenow", at.toFixed(1));
    this.box.setAttribute(
      "aria-valuetext",
      fill(gettext("%(at)s of %(all)s seconds"), { at: at.toFixed(1), all: this.seconds.toFixed(1) }),
    );
  }
}
