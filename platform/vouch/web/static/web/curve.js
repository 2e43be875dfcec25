// How a loss falls while a voice is trained: a chart a stage, drawn by uPlot as its points arrive.
import { el } from "./dom.js";
import { fill, gettext, word } from "./i18n.js";

const HEIGHT = 160;
const GAP = 10;
const FONT = "12px system-ui, sans-serif";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Colours are asked for at each drawing, so the chart follows the scheme. */
function options(width) {
  const axis = { stroke: () => css("--soft"), font: FONT, grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false }, gap: GAP };
  return {
    width,
    height: HEIGHT,
    scales: { x: { time: false } },
    axes: [{ ...axis, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] }, { ...axis, size: 48 }],
    series: [{}, { stroke: () => css("--accent"), width: 2, points: { show: false } }],
    legend: { show: false }, // The caption says it, and says it to screen readers too.
    cursor: { show: false },
  };
}

export class Curve {
  /** `box` is shown with the first point. */
  constructor(box) {
    this.box = box;
    this.stages = new Map();
    this.seen = new Set(); // A stream that is opened again may say a point twice.
    for (const scheme of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(scheme).addEventListener("change", () => {
        for (const { chart } of this.stages.values()) chart?.redraw();
      });
    }
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
    const place = el("div", { class: "curve", role: "img" });
    const caption = el("figcaption", { class: "meta" });
    this.box.append(el("figure", {}, place, caption));
    const line = { stage, place, caption, losses: [], chart: null };
    // Its place has a width only while the curious look; the first look fetches what draws.
    const charts = () => (this.charts ??= import("./vendor/uplot/uPlot.esm.js"));
    new ResizeObserver(async () => {
      const { default: Chart } = await charts();
      const width = place.clientWidth;
      if (!width) return;
      if (line.chart) line.chart.setSize({ width, height: HEIGHT });
      else line.chart = new Chart(options(width), this.points(line), place);
    }).observe(place);
    return line;
  }

  points({ losses }) {
    return [losses.map((_, n) => n + 1), losses];
  }

  draw(line) {
    line.chart?.setData(this.points(line));
    const said = fill(gettext("%(stage)s: loss from %(first)s to %(last)s"), {
      stage: word(line.stage),
      first: line.losses[0].toFixed(2),
      last: line.losses.at(-1).toFixed(2),
    });
    line.place.setAttribute("aria-label", said);
    line.caption.textContent = said;
  }
}
