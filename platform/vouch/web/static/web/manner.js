// How it is to sound: sliders, moods that set them, and two sets of them (A and B) that share one panel.
import { byId } from "./dom.js";
import { fill, gettext } from "./i18n.js";

const NAMES = ["speed", "pitch", "formants", "pause", "liveliness"];

const signed = (value) => (value > 0 ? `+${value}` : String(value));
const SAID = {
  speed: (value) => `${value.toFixed(2)} ×`,
  pitch: (value) => fill(gettext("%(n)s semitones"), { n: signed(value) }),
  formants: (value) => fill(gettext("%(n)s semitones"), { n: signed(value) }),
  pause: (value) => `${value.toFixed(2)} s`,
  liveliness: (value) => `${Math.round(value * 100)} %`,
};
const SHORT = {
  speed: gettext("speed"),
  pitch: gettext("pitch"),
  formants: gettext("size"),
  pause: gettext("pause"),
  liveliness: gettext("liveliness"),
};

/** One line about settings: "speed 0.88 ×, pause 0.45 s". */
export function describe(manner) {
  const parts = NAMES.filter((name) => manner[name] !== undefined).map((name) => `${SHORT[name]} ${SAID[name](manner[name])}`);
  const rest = Object.keys(manner).filter((name) => !NAMES.includes(name));
  parts.push(...rest.map((name) => `${name} ${manner[name]}`));
  return parts.length ? parts.join(", ") : gettext("as the voice does by itself");
}

export class Panel {
  constructor(form) {
    this.form = form;
    this.sliders = Object.fromEntries(NAMES.map((name) => [name, byId(name)]));
    this.plain = Object.fromEntries(NAMES.map((name) => [name, Number(this.sliders[name].dataset.plain)]));
    this.moods = [...form.elements.mood];
    this.mute = byId("hear").disabled; // The voice cannot speak now.
    this.sets = { a: {}, b: {} };
    this.which = "a";
    this.other = {}; // Settings that have no slider here: they came with a recording that is done again.
    for (const name of NAMES) {
      this.sliders[name].addEventListener("input", () => {
        for (const mood of this.moods) mood.checked = false;
        byId("strength-field").hidden = true;
        this.say();
      });
    }
    for (const mood of this.moods) mood.addEventListener("change", () => this.feel());
    byId("strength").addEventListener("input", () => this.feel());
    byId("plain").addEventListener("click", () => this.set({}));
    for (const key of ["a", "b"]) byId(`set-${key}`).addEventListener("click", () => this.turn(key));
    this.set({});
  }

  /** The mood that is chosen; undefined once a slider was moved. */
  mood() {
    return this.moods.find((one) => one.checked);
  }

  /** The mood that is chosen, at its strength, as slider settings. */
  feel() {
    const mood = this.mood();
    const strength = Number(byId("strength").value) / 100;
    byId("strength-field").hidden = !mood.value;
    for (const name of NAMES) {
      const full = Number(mood.dataset[name] ?? this.plain[name]);
      this.sliders[name].value = this.plain[name] + strength * (full - this.plain[name]);
    }
    this.say();
  }

  /** The settings on the panel that differ from the voice's own. */
  read() {
    const asked = { ...this.other };
    for (const name of NAMES) {
      const value = Number(this.sliders[name].value);
      if (this.sliders[name].disabled) continue;
      if (value !== this.plain[name]) asked[name] = value;
    }
    return asked;
  }

  set(manner) {
    this.other = Object.fromEntries(Object.entries(manner).filter(([name]) => !NAMES.includes(name)));
    for (const name of NAMES) this.sliders[name].value = manner[name] ?? this.plain[name];
    const own = NAMES.every((name) => Number(this.sliders[name].value) === this.plain[name]);
    for (const mood of this.moods) mood.checked = own && !mood.value;
    byId("strength-field").hidden = true;
    this.say();
  }

  /** Sliders that count for nothing meanwhile. */
  rest(names, resting) {
    for (const name of names) this.sliders[name].disabled = resting;
  }

  say() {
    for (const name of NAMES) {
      const said = SAID[name](Number(this.sliders[name].value));
      byId(`${name}-said`).textContent = said;
      this.sliders[name].setAttribute("aria-valuetext", said);
    }
    byId("hear").disabled = this.mute || !this.mood();
    byId("strength-said").textContent = `${byId("strength").value} %`;
  }

  /** Shows set "a" or "b" and keeps the other as it was left. */
  turn(key) {
    this.sets[this.which] = this.read();
    this.which = key;
    this.set(this.sets[key]);
    for (const one of ["a", "b"]) byId(`set-${one}`).setAttribute("aria-pressed", String(one === key));
  }

  /** Everything on the panel, for `restore`. */
  keep() {
    const [a, b] = this.both();
    return { a, b, which: this.which, mood: this.mood()?.value ?? null, strength: byId("strength").value };
  }

  restore({ a, b, which, mood, strength }) {
    this.sets = { a, b };
    this.which = which; // So that turning to it keeps nothing of what the panel shows now.
    this.set(this.sets[which]);
    this.turn(which);
    const felt = this.moods.find((one) => one.value === mood);
    if (!felt) return;
    felt.checked = true;
    byId("strength").value = strength;
    this.feel();
  }

  /** Both sets, as they are now. */
  both() {
    this.sets[this.which] = this.read();
    return [this.sets.a, this.sets.b];
  }
}
