// The live challenge: words shown once, sent while they are spoken, then examined.
import { Problem, call, poll, sleep } from "./api.js";
import { attempt, byId, el, report } from "./dom.js";
import { fill, gettext, lang, span, word } from "./i18n.js";
import { Meter, Recorder, lost } from "./recorder.js";

const RATE = 16000; // What the API takes: 16-bit mono at 16 kHz.
const TRIES = 5; // For one chunk, when the network stumbles.
const BEGIN_WITHIN = 10; // Seconds until the first word; the server refuses a later one.
const SAY_LEFT = [60, 30, 10]; // Seconds left that are said aloud; a countdown read out whole would drown the reading.
const SPEECH_DBFS = -45; // From this level on somebody is taken to be reading.
const WAITING = "vouch-held"; // Where a challenge is remembered that is listened to or waits for a moderator: ids only.
const SETTLED = ["done", "failed", "held"];

/** Sends chunks one after another, in order, while more are being spoken. */
class LiveSender {
  constructor(challenge, onSent) {
    this.challenge = challenge;
    this.onSent = onSent;
    this.queue = [];
    this.index = 0;
    this.working = null;
    this.failure = null;
  }

  push(pcm) {
    this.queue.push(pcm);
    this.working ??= this.drain();
  }

  /** Resolves when everything arrived; throws what stopped it. */
  async finish() {
    while (this.working) await this.working;
    if (this.failure) throw this.failure;
  }

  async drain() {
    try {
      while (this.queue.length && !this.failure) {
        await this.send(this.queue[0]);
        this.queue.shift();
        this.index += 1;
        this.onSent(this.index);
      }
    } catch (error) {
      this.failure = error;
    } finally {
      this.working = null;
    }
  }

  async send(pcm) {
    for (let tries = 1; ; tries++) {
      try {
        await call("PUT", `challenges/${this.challenge}/chunks/${this.index}`, { body: pcm });
        return;
      } catch (error) {
        // An earlier try whose answer was lost did arrive: the server already waits for the next one.
        if (tries > 1 && error.body?.expected === this.index + 1) return;
        const passing = error instanceof Problem && (error.status === 0 || error.status === 429 || error.status >= 500);
        if (!passing || tries >= TRIES) throw error;
        await sleep(1000 * (error.body?.retry_after ?? 1));
      }
    }
  }
}

/** Listening takes seconds and a moderator hours: the page can be closed meanwhile. */
function keep(waiting) {
  localStorage.setItem(WAITING, JSON.stringify(waiting));
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(WAITING) ?? "null");
  } catch {
    return null;
  }
}

/** Shows each piece of evidence as a row: what was measured, against what, and what follows. */
export function showEvidence(table, evidence) {
  const number = (value) => (Number.isInteger(value) ? String(value) : Number(value).toPrecision(3));
  const rows = evidence.map((one) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, word(one.kind)),
      el("td", {}, number(one.value)),
      el("td", {}, number(one.threshold)),
      el("td", {}, el("span", { class: `chip ${one.verdict}` }, word(one.verdict))),
      el("td", {}, one.verdict === "pass" ? "" : (one.advice?.[lang] ?? one.advice?.en ?? one.reason)),
    ),
  );
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = rows.length === 0;
}

export class ChallengeStep {
  /** `onPassed(challengeId)` is called when the person goes on. */
  constructor(page, onPassed) {
    Object.assign(this, { worklet: page.dataset.worklet, onPassed, box: byId("problem"), session: 0 });
    byId("challenge-start").addEventListener("click", () => this.begin());
    byId("challenge-again").addEventListener("click", () => this.begin());
    byId("challenge-finish").addEventListener("click", () => this.finish());
    byId("challenge-next").addEventListener("click", () => {
      localStorage.removeItem(WAITING);
      this.onPassed(this.id);
    });
    byId("challenge-look").addEventListener("click", () => this.look());
    byId("words").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !byId("challenge-finish").disabled) this.finish();
    });
    this.person = page.dataset.person;
    const waiting = kept();
    if (waiting?.person === this.person) {
      Object.assign(this, { id: waiting.challenge, examination: waiting.examination });
      this.look();
    }
  }

  show(part) {
    for (const name of ["intro", "live", "result"]) byId(`challenge-${name}`).hidden = name !== part;
  }

  begin() {
    const button = byId(byId("challenge-result").hidden ? "challenge-start" : "challenge-again");
    return attempt(button, this.box, async () => {
      // The microphone first: asking for permission must not eat into the time for the words.
      this.recorder = await Recorder.open({ worklet: this.worklet, rate: RATE });
      try {
        const asked = performance.now();
        const challenge = await call("POST", "challenges", { json: {} });
        this.live(challenge, asked);
      } catch (error) {
        this.recorder.close();
        throw error;
      }
    });
  }

  live(challenge, asked) {
    this.id = challenge.id;
    const session = ++this.session;
    const meter = new Meter(byId("challenge-live").querySelector("[data-level]"));
    this.sender = new LiveSender(challenge.id, (sent) => {
      byId("challenge-sent").textContent = fill(gettext("%(n)s s sent"), { n: sent });
    });
    this.reading = false;
    this.recorder.onLevel = (level) => {
      if (meter.take(level) > SPEECH_DBFS) this.reading = true;
    };
    this.recorder.onChunk = (pcm) => {
      this.sender.push(pcm);
      if (this.sender.failure) this.abandon(this.sender.failure);
    };
    this.recorder.onLost = () => this.abandon(lost());
    this.recorder.start();
    byId("words").textContent = challenge.words.join(" · ");
    byId("challenge-sent").textContent = "";
    byId("challenge-finish").disabled = false;
    this.show("live");
    byId("words").focus();
    this.say(gettext("Read the words aloud now."));
    // Both times are the server's; counting from before the question never shows more than is left.
    const life = Date.parse(challenge.expires_at) - Date.parse(challenge.opened_at);
    const clock = byId("challenge-clock");
    clock.max = life / 1000;
    const unsaid = [...SAY_LEFT];
    const tick = () => {
      if (session !== this.session) return;
      const gone = (performance.now() - asked) / 1000;
      const left = life / 1000 - gone;
      clock.value = Math.max(0, left);
      byId("challenge-time").textContent = fill(gettext("%(time)s left"), { time: span(left) });
      if (this.reading) byId("challenge-begin").textContent = "";
      else if (gone < BEGIN_WITHIN) {
        byId("challenge-begin").textContent = fill(gettext("Begin within %(time)s."), { time: span(BEGIN_WITHIN - gone) });
      } else byId("challenge-begin").textContent = gettext("Nothing was heard yet. If you began late, start over with new words.");
      if (left <= unsaid[0]) this.say(fill(gettext("%(time)s left"), { time: span(unsaid.shift()) }));
      if (left <= 0) {
        this.abandon(new Problem(410, { code: "challenge_expired", detail: gettext("The time for these words is over.") }));
      } else setTimeout(tick, 250);
    };
    tick();
  }

  /** Writes into the live region: what somebody who does not see the page must know. */
  say(text) {
    byId("challenge-said").textContent = text;
  }

  /** Ends an attempt that cannot succeed any more. */
  abandon(error) {
    this.session++;
    this.recorder.close();
    byId("words").textContent = "";
    this.show("intro");
    report(this.box, error);
  }

  async finish() {
    this.session++;
    byId("challenge-finish").disabled = true;
    report(this.box, null);
    try {
      await this.recorder.stop();
      this.recorder.close();
      await this.sender.finish();
      const { examination } = await call("POST", `challenges/${this.id}/answer`, { json: {} });
      byId("words").textContent = "";
      this.examination = examination;
      keep({ person: this.person, challenge: this.id, examination });
      await this.hear();
    } catch (error) {
      this.abandon(error);
    }
  }

  /** Shows the result part and fills it when the examination is over, or waits for a moderator. */
  async hear() {
    this.show("result");
    this.verdict(gettext("Listening to what you said …"), "");
    byId("challenge-listening").hidden = false;
    byId("challenge-result").focus();
    this.decide(await poll(`examinations/${this.examination}`, (one) => SETTLED.includes(one.state)));
  }

  /** Has the moderator decided? */
  look() {
    return attempt(byId("challenge-look"), this.box, async () => {
      try {
        await this.hear();
      } catch (error) {
        if (error instanceof Problem && error.status === 404) {
          localStorage.removeItem(WAITING);
          this.show("intro");
        } else throw error;
      }
    });
  }

  verdict(text, advice) {
    byId("challenge-verdict").textContent = text;
    byId("challenge-advice").textContent = advice;
    byId("challenge-evidence").hidden = byId("challenge-listening").hidden = true;
    for (const name of ["next", "again", "look"]) byId(`challenge-${name}`).hidden = true;
  }

  decide(examination) {
    const held = examination.state === "held";
    const passed = examination.verdict === "pass";
    const advice = passed ? "" : (examination.advice[lang] ?? examination.advice.en ?? "");
    this.verdict(word(held ? "held" : examination.verdict), advice);
    showEvidence(byId("challenge-evidence"), examination.evidence);
    // What passed is kept until the person goes on: whoever closes the page now has not lost it.
    if (!held && !passed) localStorage.removeItem(WAITING);
    const next = byId(held ? "challenge-look" : passed ? "challenge-next" : "challenge-again");
    next.hidden = false;
    next.focus();
  }
}
