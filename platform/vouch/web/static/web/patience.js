// Lines break. What may be sent again is sent again, until it has arrived or nobody wants it any more.
import { call, newKey, Problem } from "./api.js";
import { report } from "./dom.js";
import { gettext } from "./i18n.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
const LONGEST_QUOTA = 60; // Seconds: who has to wait longer than this for a quota is told so instead.
const PASSING = new Set(["idempotency_in_progress", "body_cut_short"]);

/** True for what goes by itself: no answer at all, a server that is away or busy, a body that came too slowly. */
export function passing(error) {
  if (!(error instanceof Problem)) return false;
  if (error.status === 429) return (error.body?.retry_after ?? 1) <= LONGEST_QUOTA;
  return [0, 502, 503, 504].includes(error.status) || PASSING.has(error.code);
}

/** True for an act of which nobody knows whether it was done: the answer was lost, or is still being made. */
const unanswered = (error) =>
  error instanceof Problem && ([0, 502, 504].includes(error.status) || error.code === "idempotency_in_progress");

/** Waits `ms`, or less when the browser says that the line is back, or `signal` is aborted. */
function rest(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal?.addEventListener("abort", done);
  });
}

/**
 * What `work()` returns, tried again while it fails for a reason that `passes`; `onWait(true)` when that begins,
 * `onWait(false)` when it went on. Throws any other reason, and an AbortError once `signal` is aborted.
 */
export async function patiently(work, { onWait = () => {}, signal, passes = passing } = {}) {
  for (let wait = FIRST_WAIT, waiting = false; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    signal?.throwIfAborted();
    try {
      const answer = await work();
      if (waiting) onWait(false);
      return answer;
    } catch (error) {
      if (!passes(error)) throw error;
      if (!waiting) onWait(true);
      waiting = true;
      await rest(Math.max(wait, 1000 * (error.body?.retry_after ?? 0)), signal);
    }
  }
}

/**
 * POSTs `json` so that it is done once, whatever the line does: tried again under one `key` until there is an answer, and
 * said in `box` meanwhile. Whoever keeps the key can ask again after a reload. Throws Problem.
 */
export function surely(path, json, box, key = newKey()) {
  const away = new Problem(0, {
    code: "unreachable",
    detail: gettext("The server cannot be reached."),
    advice: gettext("It goes on by itself as soon as the connection is back."),
  });
  const onWait = (waiting) => report(box, waiting ? away : null);
  return patiently(() => call("POST", path, { json, key }), { onWait, passes: unanswered });
}
