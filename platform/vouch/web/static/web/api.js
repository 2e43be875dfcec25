// The one way the console speaks to /api/v1: the session's cookie, the CSRF token, and problem+json made readable.
import { gettext } from "./i18n.js";

const BASE = "/api/v1/";
const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** What a code says on this page, as `[said, advice]`: null where the server's own words are in the page's language. */
const words = (code) => globalThis.vouchProblems?.[code] ?? null;

/** What a job that ended badly says. */
export const told = (code, detail) => words(code)?.join(" ") ?? detail;

/** An answer that is an error: `code` is stable, `detail` and `advice` are sentences for people. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || gettext("Something went wrong."));
    this.status = status;
    this.code = body.code ?? "";
    this.detail = this.message;
    this.advice = body.advice ?? "";
    this.body = body;
    this.fields = body.fields ?? null;
  }

  /** A problem as the server tells it, in the page's language. */
  static of(status, body) {
    const known = words(body.code);
    if (!known) return new Problem(status, body);
    // What is more particular than what the code says, as a number or a name, is kept beside it as it came.
    const particular = body.detail && body.title && body.detail !== body.title ? `（${body.detail}）` : "";
    return new Problem(status, { ...body, detail: known[0] + particular, advice: known[1] ?? body.advice });
  }
}

/** A request that got no answer at all. */
export class Unreachable extends Problem {
  constructor() {
    super(0, {
      code: "unreachable",
      detail: gettext("The server cannot be reached."),
      advice: gettext("Check your connection and try again."),
    });
  }
}

/**
 * Sends one request. `json` is encoded; `body` (a Blob or buffer) is sent as it is. `key` is an Idempotency-Key; after
 * `ms` without an answer there is none. Returns the decoded answer; throws Problem.
 */
export async function call(method, path, { json, body, key, signal, ms, headers: more = {} } = {}) {
  const headers = { Accept: "application/json, application/problem+json", ...more };
  if (method !== "GET") headers["X-CSRFToken"] = token;
  if (key) headers["Idempotency-Key"] = key;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (body !== undefined) headers["Content-Type"] = "application/octet-stream";
  let answer;
  let text;
  try {
    answer = await fetch(BASE + path, {
      method,
      headers,
      body: json !== undefined ? JSON.stringify(json) : body,
      credentials: "same-origin",
      redirect: "error",
      signal: ms ? AbortSignal.timeout(ms) : signal,
    });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  let data = {};
  try {
    data = text ? JSON.parse(text) : {};
  } catch {
    data = {};
  }
  if (!answer.ok) throw Problem.of(answer.status, data);
  return data;
}

/** A key that makes sending the same thing twice do it once. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const FIRST_WAIT = 400;
const LONGEST_WAIT = 3000;

/** Asks for `path` again and again, a little slower each time, until `done(answer)`; calls `each` with every answer. */
export async function poll(path, done, each = () => {}) {
  let wait = FIRST_WAIT;
  for (let lost = 0; ; ) {
    try {
      const answer = await call("GET", path);
      lost = 0;
      each(answer);
      if (done(answer)) return answer;
    } catch (error) {
      // A server that is away for a moment is asked again; anything else is the answer.
      const passing = error instanceof Problem && [0, 429, 502, 503, 504].includes(error.status);
      if (!passing || ++lost > 20) throw error;
    }
    await sleep(wait);
    wait = Math.min(wait * 1.25, LONGEST_WAIT);
  }
}
