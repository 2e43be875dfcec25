// The outline of a sound, and a slider over it: seen, dragged, and moved with the keyboard.
//
// wavesurfer.js draws. It is given the outline alone, never the sound: what is played is `Take`'s to decide.
import { el } from "./dom.js";
import { fill, gettext } from "./i18n.js";

const PEAKS = 600;
const HEIGHT = 64;
const FLAT = Array(PEAKS).fill(0.04); // Before the sound is there.
const RATE = 8000; // Enough for an outline, and a quarter of an hour still fits in memory.
const STEP_S = 1;
const JUMP_S = 5;
const SCHEMES = ["(prefers-color-scheme: dark)", "(forced-colors: active)"].map((one) => matchMedia(one));

/** The outline of an encoded sound: `{peaks, seconds}`, peaks 0 to 1. Throws when the browser cannot decode it. */
export async function outlineOf(bytes) {
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  const samples = sound.getChannelData(0);
  const step = samples.length / PEAKS;
  const peaks = Array.from({ length: PEAKS }, (_, n) => {
    let peak = 0;
    for (let i = Math.floor(n * step); i < Math.floor((n + 1) * step); i++) peak = Math.max(peak, Math.abs(samples[i]));
    return peak;
  });
  const most = Math.max(...peaks, 1e-6);
  return { peaks: peaks.map((one) => one / most), seconds: sound.duration };
}

/**
 * A view of wavesurfer.js in `place`, which must not be in the page yet: the view brings a style element, and our
 * Content-Security-Policy allows none. The same rules as a sheet made by script are allowed, and take its place in time.
 */
function view(WaveSurfer, place) {
  const made = WaveSurfer.create({
    container: place,
    media: new Audio(), // Its own, empty.
    height: HEIGHT,
    barWidth: 2,
    barGap: 2,
    barRadius: 1,
    barMinHeight: 2,
    cursorWidth: 1,
    interact: false,
    hideScrollbar: true,
  });
  const root = made.getWrapper().getRootNode();
  const style = root.querySelector("style");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style.textContent);
  root.adoptedStyleSheets = [sheet];
  style.remove();
  return made;
}

export class Wave {
  /** `name`: what a screen reader calls it; `onSeek(seconds)` and `onToggle()` are what it asks for. */
  constructor(name, { onSeek, onToggle }) {
    Object.assign(this, { onSeek, seconds: 0, at: 0, peaks: FLAT, view: null });
    this.box = el("div", { class: "wave", role: "slider", tabindex: "0", "aria-label": name, "aria-valuemin": "0" });
    this.spoken = el("span", { class: "spoken-label" });
    this.box.append(this.spoken);
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
    this.length(0);
    // Fetched and drawn when there is something to see it in. A card may leave the page meanwhile and come back.
    new ResizeObserver(() => this.seen()).observe(this.box);
  }

  async seen() {
    if (!this.box.clientWidth) return;
    await (this.begun ??= this.begin());
    // Gone and back between two frames is no change of size: nobody would call again.
    for (let frame = 0; frame < 2 && !this.box.isConnected; frame++) await new Promise(requestAnimationFrame);
    this.colour();
  }

  async begin() {
    const { default: WaveSurfer } = await import("./vendor/wavesurfer/wavesurfer.esm.js");
    const place = el("div", { class: "outline-view", "aria-hidden": "true" });
    this.view = view(WaveSurfer, place);
    this.box.append(place);
    for (const scheme of SCHEMES) scheme.addEventListener("change", () => this.colour());
    await this.redraw();
  }

  /** What the style sheet says: canvases know no custom properties, and outside the page there is no style. */
  colour() {
    const { color, accentColor, caretColor } = getComputedStyle(this.box);
    if (!this.box.isConnected || this.coloured === color + accentColor) return;
    this.coloured = color + accentColor;
    this.view.setOptions({ waveColor: color, progressColor: accentColor, cursorColor: caretColor });
  }

  draw(peaks) {
    this.peaks = peaks;
    return this.redraw();
  }

  async redraw() {
    if (!this.view || !this.seconds) return;
    try {
      await this.view.load("", [this.peaks], this.seconds);
      this.view.setTime(this.at);
    } catch (error) {
      if (error.name !== "AbortError") throw error; // overtaken by a newer outline
    }
  }

  /** How long the sound is, and how much of its beginning is the spoken label. */
  length(seconds, label = 0) {
    this.seconds = seconds;
    this.box.setAttribute("aria-valuemax", seconds.toFixed(1));
    this.spoken.style.inlineSize = seconds ? `${(100 * label) / seconds}%` : "0";
    this.set(0);
    this.redraw();
  }

  seek(to) {
    if (this.seconds) this.onSeek(Math.min(Math.max(to, 0), this.seconds));
  }

  set(at) {
    this.at = at;
    this.view?.setTime(at);
    this.box.setAttribute("aria-valuenow", at.toFixed(1));
    this.box.setAttribute(
      "aria-valuetext",
      fill(gettext("%(at)s of %(all)s seconds"), { at: at.toFixed(1), all: this.seconds.toFixed(1) }),
    );
  }
}
