// A recording as a card: what it is before it can be heard, then its outline, its sound, and how one knows.
//
// `output` is what /api/v1/outputs/ID says; `request` what /api/v1/speech/ID says of settings.
import { call, poll, Problem, Unreachable } from "./api.js";
import { attempt, byId, el, report } from "./dom.js";
import { fill, gettext } from "./i18n.js";
import { describe } from "./manner.js";
import { revoked } from "./player.js";
import { outlineOf, Wave } from "./wave.js";

const SHOWN = 240; // Characters of a text on its card.
const FILE_OF = { "audio/mp4": "m4a", "audio/mpeg": "mp3", "audio/ogg": "opus", "audio/flac": "flac", "audio/wav": "wav" };

export class Take {
  /** `formats`: what it can be made as again, by `onFormat(container)`; `onReuse()` puts its settings back. */
  constructor(output, request, { text = "", voice, formats = [], onFormat = null, onReuse = null }) {
    Object.assign(this, { output, request, text, voice, formats, onFormat, onReuse, onPlay: () => {}, onTime: () => {} });
    this.address = `/api/v1/outputs/${output.id}`;
    this.container = request.container || FILE_OF[output.media_type] || "wav";
    this.root = this.built();
  }

  built() {
    const id = `label-${this.output.id}`;
    const label = fill(
      gettext("Speech made by artificial intelligence in the voice “%(voice)s”. It begins with an audible label of %(seconds)s s."),
      { voice: this.voice, seconds: this.output.label_seconds.toFixed(1) },
    );
    this.problem = el("div", { class: "note bad", role: "alert", hidden: true });
    this.sound = el("audio", {
      preload: "none",
      "aria-label": gettext("Recording made by artificial intelligence"),
      "aria-describedby": id,
    });
    this.wave = new Wave(gettext("Position in the recording"), {
      onSeek: (at) => this.seek(at),
      onToggle: () => this.toggle(),
    });
    this.wave.length(this.output.seconds, this.output.label_seconds);
    this.button = el("button", { type: "button", class: "play", "aria-describedby": id });
    this.button.addEventListener("click", () => this.toggle());
    this.time = el("span", { class: "count" });
    this.volume = el("input", { type: "range", min: "0", max: "1", step: "0.05", value: "1" });
    this.volume.addEventListener("input", () => (this.sound.volume = Number(this.volume.value)));
    for (const event of ["play", "pause", "ended"]) this.sound.addEventListener(event, () => this.state());
    this.sound.addEventListener("timeupdate", () => this.moved());
    this.state();
    this.moved();
    const root = el(
      "article",
      { class: "card take", tabindex: "-1", "aria-describedby": id, "data-output": this.output.id },
      el("p", { id, class: "label" }, label),
      this.text ? el("p", { class: "said", dir: "auto" }, this.text.length > SHOWN ? `${this.text.slice(0, SHOWN)} …` : this.text) : null,
      this.problem,
      el(
        "div",
        { class: "deck" },
        this.button,
        this.wave.box,
        this.time,
        el("label", { class: "volume" }, el("span", {}, gettext("Volume")), this.volume),
      ),
      this.sound,
      el("p", { class: "meta" }, `${this.output.instant ? `${gettext("instant voice")} · ` : ""}${this.request.mask ? `${gettext("masked")} · ` : ""}${describe(this.request.manner)} · ${fill(gettext("seed %(n)s"), { n: this.request.seed })}`),
      el("p", { class: "actions" }, ...this.downloads(), this.again()),
      this.proof(),
    );
    root.addEventListener("keydown", (event) => {
      if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "k") this.toggle();
      else if (event.key === "m") this.sound.muted = !this.sound.muted;
    });
    return root;
  }

  downloads() {
    const name = `vouch-${this.output.id}.${this.container}`;
    const link = el(
      "a",
      { class: "button small", href: `${this.address}/audio`, download: name },
      fill(gettext("Download %(format)s"), { format: this.container.toUpperCase() }),
    );
    const others = this.formats.filter((one) => one !== this.container);
    if (!this.onFormat || !others.length || !this.text) return [link];
    const buttons = others.map((one) => {
      const button = el("button", { type: "button", class: "quiet small" }, one.toUpperCase());
      button.addEventListener("click", () => attempt(button, this.problem, () => this.onFormat(one)));
      return button;
    });
    const help = gettext("Same text, settings and seed: the same speech, marked and sealed as another file. It counts as another use.");
    const more = el("details", { class: "formats" }, el("summary", {}, gettext("Other formats")), el("p", { class: "help" }, help));
    more.append(el("div", { class: "actions" }, ...buttons));
    return [link, more];
  }

  again() {
    if (!this.onReuse) return null;
    const button = el("button", { type: "button", class: "quiet small" }, gettext("Use these settings"));
    button.addEventListener("click", () => this.onReuse());
    return button;
  }

  /** What a listener can check, and what they need for it. */
  proof() {
    const found = el("p", { role: "status" });
    const look = el("button", { type: "button", class: "quiet small" }, gettext("Trace this recording"));
    look.addEventListener("click", () => attempt(look, this.problem, () => this.traced(found)));
    return el(
      "details",
      { class: "proof" },
      el("summary", {}, gettext("How do I know?")),
      el("ul", { class: "plain" },
        el("li", {}, gettext("It says so itself: the label at its start, and the label in the file.")),
        el("li", {}, gettext("An inaudible mark runs through all of it; a few seconds lead back here.")),
        el("li", {}, fill(gettext("It is entry %(leaf)s of the public log, which nobody can change afterwards."), { leaf: this.output.leaf })),
      ),
      el("p", { class: "actions" }, look,
        el("a", { class: "button small quiet", href: `${this.address}/receipt`, download: `receipt-${this.output.id}.json` }, gettext("Receipt")),
        el("a", { class: "button small quiet", href: "/log" }, gettext("How to check it")),
      ),
      found,
      el("p", { class: "meta" }, "SHA-256 ", el("code", {}, this.output.sha256)),
    );
  }

  async traced(line) {
    line.textContent = gettext("Looking for our mark …");
    try {
      await this.load();
      const { id } = await call("POST", "trace", { body: this.blob });
      const answer = await poll(`trace/${id}`, (one) => one.state !== "queued" && one.state !== "waiting");
      if (answer.state === "failed") throw Problem.of(422, { code: answer.error_code, detail: answer.error_detail });
      line.textContent = answer.hits.some((hit) => hit.output === this.output.id)
        ? gettext("Found: the mark in this file leads to this very recording.")
        : gettext("The mark was not found in this file.");
    } catch (error) {
      line.textContent = "";
      throw error;
    }
  }

  /** Fetches the sound once; the outline is drawn when the browser can decode it. */
  load() {
    this.loading ??= this.fetched().catch((error) => {
      this.loading = null;
      throw error;
    });
    return this.loading;
  }

  async fetched() {
    const answer = await fetch(`${this.address}/audio`, { credentials: "same-origin" }).catch(() => {
      throw new Unreachable();
    });
    if (!answer.ok) throw Problem.of(answer.status, await answer.json().catch(() => ({})));
    const bytes = await answer.arrayBuffer();
    this.blob = new Blob([bytes], { type: answer.headers.get("Content-Type") ?? this.output.media_type });
    this.sound.src = URL.createObjectURL(this.blob);
    // Some browsers play what they cannot decode here: the sound counts, the outline is an extra.
    const outline = await outlineOf(bytes).catch(() => null);
    if (outline) this.wave.draw(outline.peaks);
    this.root.dataset.loaded = "";
  }

  /** Whether it may still be played. The list says what the file cannot; unknown counts as withdrawn. */
  async stands() {
    const place = this.output.status;
    return !place || !(await revoked(`/api/v1/status/${place.list}`, place.index).catch(() => true));
  }

  async play(at = null) {
    try {
      await this.load();
      if (!(await this.stands())) {
        this.sound.removeAttribute("src");
        this.sound.load();
        this.button.disabled = true;
        const detail = gettext("This recording has been withdrawn and is not played.");
        throw new Problem(410, { code: "output_revoked", detail });
      }
      report(this.problem, null);
      if (at !== null) this.sound.currentTime = at;
      this.onPlay();
      await this.sound.play();
    } catch (error) {
      if (error.name !== "AbortError") report(this.problem, error);
    }
  }

  pause() {
    this.sound.pause();
  }

  toggle() {
    if (this.sound.paused) return this.play();
    this.pause();
    return undefined;
  }

  async seek(at) {
    await attempt(null, this.problem, () => this.load());
    this.sound.currentTime = at;
    this.moved(at);
  }

  state() {
    const playing = !this.sound.paused && !this.sound.ended;
    this.button.textContent = playing ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", playing ? gettext("Pause") : gettext("Play"));
  }

  moved(at = this.sound.currentTime) {
    this.wave.set(Math.min(at, this.output.seconds));
    this.time.textContent = `${at.toFixed(1)} / ${this.output.seconds.toFixed(1)} s`;
    this.onTime(at);
  }
}

/** One sound at a time: what starts to play makes the others stop. */
export function alone(takes) {
  for (const one of takes) {
    const before = one.onPlay;
    one.onPlay = () => {
      for (const other of takes) if (other !== one) other.pause();
      before();
    };
  }
}

export const results = () => byId("results");
