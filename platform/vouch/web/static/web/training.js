// Following a job: its stage, how far, how long still.
import { poll } from "./api.js";
import { fill, gettext, span, word } from "./i18n.js";

const OVER = ["succeeded", "failed", "refused", "cancelled"];

/** One line about where a job is. */
export function stageOf(job) {
  if (job.state === "queued" || job.state === "held" || OVER.includes(job.state)) return word(job.state);
  const stage = word(job.stage || "running");
  if (job.seconds_left === null) return stage;
  return fill(gettext("%(stage)s, about %(time)s left"), { stage, time: span(job.seconds_left) });
}

/** Polls a job to its end and keeps `bar` and `line` up to date. Returns the finished job. */
export function follow(id, bar, line) {
  return poll(
    `jobs/${id}`,
    (job) => OVER.includes(job.state),
    (job) => {
      bar.value = job.progress;
      const said = stageOf(job);
      if (line.textContent !== said) line.textContent = said;
    },
  );
}
