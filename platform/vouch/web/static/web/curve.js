// How a loss falls while a voice is trained: a line a stage, drawn as its points arrive.
import { el } from "./dom.js";
import { fill, gettext, word } from "./i18n.js";

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 120;
const EDGE = 4;

export class Curve {
  /** `box` is shown with the first point. */
  constructor(box) {
    this.box = box;
    this.stages = new Map();
    this.seen = new Set(); // A stream that is opened again may say a point twice.
  }

  add({ stage, loss, at }) {
    if (!Number.isFinite(loss) || this.seen.has(`${stage} ${at}`)) return;
    this.seen.add(`${stage} ${at}`);
    if (!this.stages.has(stage)) this.stages.set(stage, this.begin(stage));
    const line = this.stages.get(stage);
    line.losses.push(loss);
    this.draw(line);
    this.box.hidden = false;
  }

  begin(stage) {
    const path = document.createElementNS(SPACE, "path");
    const svg = document.createElementNS(SPACE, "svg");
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "curve", preserveAspectRatio: "none" })) svg.setAttribute(name, value);
    svg.append(path);
    const caption = el("figcaption", { class: "meta" });
    this.box.append(el("figure", {}, svg, caption));
    return { stage, svg, path, caption, losses: [] };
  }

  draw({ stage, svg, path, caption, losses }) {
    const [least, most] = [Math.min(...losses), Math.max(...losses)];
    const x = (n) => (losses.length < 2 ? 0 : (n * WIDTH) / (losses.length - 1));
    const y = (loss) => HEIGHT - EDGE - ((loss - least) / (most - least || 1)) * (HEIGHT - 2 * EDGE);
    path.setAttribute("d", losses.map((loss, n) => `${n ? "L" : "M"}${x(n).toFixed(1)} ${y(loss).toFixed(1)}`).join(""));
    const said = fill(gettext("%(stage)s: loss from %(first)s to %(last)s"), {
      stage: word(stage),
      first: losses[0].toFixed(2),
      last: losses.at(-1).toFixed(2),
    });
    svg.setAttribute("aria-label", said);
    caption.textContent = said;
  }
}
