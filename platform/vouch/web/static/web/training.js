// Following a job: its stage, how far, how long still, and for the curious how its loss falls.
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

/**
 * Follows a job to its end and keeps `bar` and `line` up to date; `curve` gets every point of its loss. Returns the
 * finished job. The server tells as it happens; where it has no room for that, it is asked again and again.
 */
export function follow(id, bar, line, curve = null) {
  const show = (job, share) => {
    bar.value = share;
    const percent = job.state === "running" ? `${Math.floor(share * 100)} % · ` : "";
    const said = percent + stageOf(job);
    if (line.textContent !== said) line.textContent = said;
  };
  const asked = () => poll(`jobs/${id}`, (job) => OVER.includes(job.state), (job) => show(job, job.progress));
  return new Promise((resolve, reject) => {
    const source = new EventSource(`/api/v1/jobs/${id}/events`);
    source.addEventListener("progress", ({ data }) => {
      const job = JSON.parse(data);
      show(job, job.percent / 100);
      if (job.loss !== null) curve?.add(job);
    });
    source.addEventListener("end", ({ data }) => {
      source.close();
      const job = JSON.parse(data);
      show(job, job.progress);
      resolve(job);
    });
    source.addEventListener("error", () => {
      // A stream that broke off is opened again by the browser itself; one that was refused is not.
      if (source.readyState === EventSource.CLOSED) asked().then(resolve, reject);
    });
  });
}
