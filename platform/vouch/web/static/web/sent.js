// A reading that was sent off, as a row of the list: on its way, listened to, judged.
import { el } from "./dom.js";
import { fill, gettext, lang, span, word } from "./i18n.js";

/** Where in a recording somebody else seems to speak, if that was found. */
function strangers(found) {
  const others = found.evidence.flatMap((one) => one.details.others ?? []);
  if (!others.length) return "";
  const stretches = others.map(([from, to]) => `${Math.floor(from)}–${Math.ceil(to)} s`).join(", ");
  return fill(gettext("Another voice: %(stretches)s."), { stretches });
}

export class SentRow {
  constructor(list, { language, seconds }) {
    this.chip = el("span", { class: "chip" });
    this.said = el("p", { class: "meta", role: "status" });
    this.bar = el("progress", { max: "1", value: "0", "aria-label": gettext("How much has arrived"), hidden: true });
    this.acts = el("p", { class: "actions", hidden: true });
    const name = fill(gettext("%(language)s, %(time)s"), {
      language: language === "zh" ? gettext("Chinese") : gettext("English"),
      time: span(seconds),
    });
    this.root = el("li", {}, el("div", {}, el("p", {}, name), this.bar, this.said, this.acts), this.chip);
    list.append(this.root);
    list.hidden = false;
  }

  state(text, name = "") {
    this.chip.textContent = text;
    this.chip.className = `chip ${name}`.trim();
  }

  /** On its way; `onDiscard()` when it is not wanted any more. */
  sending(onDiscard) {
    this.bar.hidden = false;
    this.state(gettext("Sending …"));
    this.offer([gettext("Discard it"), onDiscard]);
  }

  arrived(share) {
    this.bar.value = share;
  }

  /** The line is gone, or back. `kept`: this browser has it even when the page is closed. */
  waits(waiting, kept) {
    this.state(waiting ? gettext("No connection") : gettext("Sending …"), waiting ? "held" : "");
    const after = kept
      ? gettext("You can read on, or close this page: the reading is kept in this browser.")
      : gettext("You can read on, but keep this page open.");
    this.said.textContent = waiting ? `${gettext("It goes on by itself as soon as the connection is back.")} ${after}` : "";
  }

  listening() {
    this.bar.hidden = true;
    this.said.textContent = "";
    this.offer();
    this.state(gettext("Listening …"));
  }

  judged(found) {
    this.state(word(found.verdict), found.verdict);
    if (found.verdict !== "pass") {
      this.said.textContent = [found.advice[lang] ?? found.advice.en ?? found.reason, strangers(found)].join(" ").trim();
    }
  }

  /** `ways`: what can be done about it, as `[words, act]`. */
  failed(error, ...ways) {
    this.bar.hidden = true;
    this.state(gettext("Failed"), "failed");
    this.said.textContent = `${error.message} ${error.advice ?? ""}`.trim();
    this.offer(...ways);
  }

  offer(...ways) {
    this.acts.hidden = !ways.length;
    this.acts.replaceChildren(
      ...ways.map(([words, act]) => {
        const button = el("button", { type: "button", class: "quiet small" }, words);
        button.addEventListener("click", act);
        return button;
      }),
    );
  }

  remove() {
    const list = this.root.parentElement;
    this.root.remove();
    list.hidden = list.children.length === 0;
  }
}
