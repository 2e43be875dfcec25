// A beside B: the same text in two settings, switched at the same place while it plays.
import { el } from "./dom.js";
import { fill, gettext } from "./i18n.js";

/** The place in `to` that `at` seconds of `from` are: label on label, speech on speech in shares of its length. */
export function placeIn(at, from, to) {
  if (at <= from.label_seconds) return (at * to.label_seconds) / from.label_seconds;
  const share = (at - from.label_seconds) / (from.seconds - from.label_seconds);
  return to.label_seconds + Math.min(share, 1) * (to.seconds - to.label_seconds);
}

export class Compare {
  /** Two takes of one text. */
  constructor(a, b) {
    this.takes = { a, b };
    this.now = "a";
    this.button = el("button", { type: "button", class: "quiet", "aria-keyshortcuts": "x" });
    this.button.addEventListener("click", () => this.turn());
    const halves = ["a", "b"].map((key) =>
      el("div", { class: "half" }, el("h3", {}, fill(gettext("Version %(letter)s"), { letter: key.toUpperCase() })), this.takes[key].root),
    );
    this.root = el(
      "section",
      { class: "card compare", tabindex: "-1" },
      el("div", { class: "heading" }, el("h3", {}, gettext("Compare")), this.button),
      el("p", { class: "help" }, gettext("Both move together. Switch while it plays: the other goes on at the same place.")),
      el("div", { class: "halves" }, ...halves),
    );
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "x" || event.target.closest("input, textarea, select")) return;
      event.preventDefault();
      this.turn();
    });
    for (const [key, take] of Object.entries(this.takes)) {
      const other = this.takes[key === "a" ? "b" : "a"];
      take.onPlay = () => {
        // Played from its own button: it takes over where the other is.
        if (!other.sound.paused) {
          take.sound.currentTime = placeIn(other.sound.currentTime, other.output, take.output);
          other.pause();
        }
        this.show(key);
      };
      take.onTime = (at) => {
        if (this.now === key) other.wave.set(placeIn(at, take.output, other.output));
      };
    }
    this.show("a");
  }

  show(key) {
    this.now = key;
    const other = key === "a" ? "B" : "A";
    this.button.textContent = fill(gettext("Switch to %(letter)s"), { letter: other });
    for (const [name, take] of Object.entries(this.takes)) take.root.parentElement?.classList.toggle("now", name === key);
  }

  turn() {
    const from = this.takes[this.now];
    const key = this.now === "a" ? "b" : "a";
    const to = this.takes[key];
    const at = placeIn(from.sound.currentTime, from.output, to.output);
    const playing = !from.sound.paused;
    from.pause();
    this.show(key);
    if (playing) return to.play(at);
    return to.seek(at);
  }
}
