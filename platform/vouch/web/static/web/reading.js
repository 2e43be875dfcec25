// Training speech: sentences read one after another into one recording, listened to, sent, examined.
import { call, newKey, poll } from "./api.js";
import { attempt, byId, report } from "./dom.js";
import { fill, gettext, ngettext, span } from "./i18n.js";
import { LIFE_MS, drop, keep, waiting } from "./parcels.js";
import { patiently } from "./patience.js";
import { Meter, Recorder, lost, wav } from "./recorder.js";
import { SentRow } from "./sent.js";
import { upload } from "./upload.js";

const SPEECH_DBFS = -42; // Louder than this counts as speech in the running estimate.
const LEVEL_SECONDS = 0.1; // What one level report stands for.
const ENOUGH = 6; // Seconds of speech from which a reading may end: 3 are needed, and an estimate is an estimate.
const MOST = 14; // Seconds after which a reading ends by itself: the engine learns words from recordings of up to 15.
const WAV_HEAD = 44;

export class ReadingStep {
  /** `onChange()` is called when the list of passed readings changes, `onDone()` when the person goes on. */
  constructor(page, state, { onChange, onDone }) {
    Object.assign(this, { state, onChange, worklet: page.dataset.worklet, box: byId("problem"), open: 0 });
    this.limit = Number(page.dataset.maxBytes);
    this.at = 0;
    this.parcel = null; // What is recorded and not sent.
    this.drafts = []; // Such from before the page was closed, to be offered after it.
    this.leaving = (event) => event.preventDefault();
    const on = (id, work) => byId(id).addEventListener("click", work);
    on("reading-start", () => this.start());
    on("reading-step", () => this.step());
    on("reading-finish", () => this.finish());
    on("reading-discard", () => this.discard());
    on("reading-drop", () => this.discard());
    on("reading-send", () => this.send());
    on("reading-done", onDone);
    document.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight" && this.recorder && !event.target.closest("select, input, audio")) {
        event.preventDefault();
        this.step();
      }
    });
    this.total();
  }

  buttons(...shown) {
    for (const name of ["start", "step", "finish", "discard", "check"]) {
      byId(`reading-${name}`).hidden = !shown.includes(name);
    }
  }

  start() {
    return attempt(byId("reading-start"), this.box, async () => {
      const language = byId("reading-language").value;
      if (this.script?.language !== language) {
        this.script = await call("GET", `scripts/${language}`);
        this.at = this.state.next?.[language] ?? 0;
      }
      // The device's own rate: the voice should know all of the speaker, not only what a telephone keeps.
      const recorder = await Recorder.open({ worklet: this.worklet });
      this.recorder = recorder;
      const meter = new Meter(byId("ceremony").querySelector('[data-step="reading"] [data-level]'));
      this.meter = meter;
      this.chunks = [];
      this.bytes = WAV_HEAD;
      this.speech = 0;
      this.read = [];
      recorder.onLevel = (level) => {
        if (meter.take(level) > SPEECH_DBFS) this.speech += LEVEL_SECONDS;
        this.progress();
      };
      recorder.onChunk = (pcm) => {
        this.chunks.push(pcm);
        this.bytes += pcm.byteLength;
        const seconds = (this.bytes - WAV_HEAD) / 2 / recorder.rate;
        // The size is checked too, two seconds before the largest upload that is accepted.
        if (seconds > MOST || this.bytes > this.limit - 4 * recorder.rate) this.finish();
      };
      recorder.onLost = async () => {
        await this.finish(); // What was heard so far is kept, and can be listened to.
        report(this.box, lost());
      };
      byId("reading-language").disabled = true;
      recorder.start();
      this.buttons("step", "finish", "discard");
      this.step();
    });
  }

  /** Shows the next sentence; the one before was read. */
  step() {
    if (this.shown !== undefined) this.read.push(this.shown);
    const { sentences, language } = this.script;
    this.shown = sentences[this.at % sentences.length];
    this.at += 1;
    byId("sentence").textContent = this.shown;
    byId("sentence").lang = byId("sentence-next").lang = language;
    byId("sentence-next").textContent = sentences[this.at % sentences.length];
    byId("sentence").focus();
  }

  progress() {
    byId("reading-time").textContent = fill(gettext("about %(time)s of speech"), { time: span(this.speech) });
    const hint = this.speech >= ENOUGH ? gettext("Enough for one reading. Finish after this sentence, or read on.") : "";
    if (byId("reading-hint").textContent !== hint) byId("reading-hint").textContent = hint;
  }

  async finish() {
    if (!this.recorder) return;
    const recorder = this.recorder;
    this.recorder = null;
    await recorder.stop();
    recorder.close();
    this.meter.off();
    this.read.push(this.shown);
    this.shown = undefined;
    const { language } = this.script;
    const { person, challenge, at } = this.state;
    this.state.next = { ...this.state.next, [language]: this.at };
    this.onChange();
    const transcript = this.read.join(language === "zh" ? "" : " ");
    const seconds = (this.bytes - WAV_HEAD) / 2 / recorder.rate;
    const blob = wav(this.chunks, recorder.rate);
    const until = at + LIFE_MS;
    const offered = this.offer({ key: newKey(), person, challenge, at: Date.now(), until, draft: true, language, transcript, seconds, blob });
    byId("reading-send").focus();
    await offered;
  }

  /** A reading to be listened to, then sent or thrown away: just recorded, or before the page was closed. */
  async offer(parcel, back = "") {
    this.parcel = parcel;
    addEventListener("beforeunload", this.leaving); // until it is known to be kept
    this.address = URL.createObjectURL(parcel.blob);
    byId("reading-audio").src = this.address;
    byId("reading-language").value = parcel.language;
    byId("reading-language").disabled = true;
    byId("sentence").lang = parcel.language;
    byId("sentence").textContent = parcel.transcript;
    byId("sentence-next").textContent = "";
    this.buttons("check");
    this.keeping = keep(parcel).then(() => true, () => false);
    const kept = await this.keeping;
    if (this.parcel !== parcel) return;
    if (kept) removeEventListener("beforeunload", this.leaving);
    const at = new Date(parcel.until).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    const where = kept
      ? fill(gettext("Until then it is kept in this browser alone, at most until %(at)s: you may close this page and come back."), { at })
      : gettext("This browser keeps nothing: send it before you close this page.");
    byId("reading-kept").textContent = `${back} ${where}`.trim();
  }

  async discard() {
    if (this.recorder) {
      const recorder = this.recorder;
      this.recorder = null;
      await recorder.stop();
      recorder.close();
      this.meter.off();
    }
    const { parcel } = this;
    this.reset();
    if (!parcel) return;
    await this.keeping;
    await drop(parcel.key).catch(() => {}); // A browser that keeps nothing has nothing to drop.
  }

  /** Ready for the next reading, or for one that was left behind. */
  reset() {
    this.shown = undefined;
    this.parcel = null;
    this.chunks = [];
    removeEventListener("beforeunload", this.leaving);
    byId("reading-audio").removeAttribute("src");
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
    byId("reading-language").disabled = false;
    byId("reading-hint").textContent = "";
    byId("sentence-next").textContent = "";
    byId("sentence").removeAttribute("lang"); // What follows is in the page's language.
    byId("sentence").textContent = gettext("Press “Start reading” for the next sentences.");
    byId("reading-kept").textContent = "";
    this.buttons("start");
    if (this.drafts.length) this.goBack();
    byId(this.parcel ? "reading-send" : "reading-start").focus();
  }

  /** Offers the oldest reading that was left behind. */
  goBack() {
    this.offer(this.drafts.shift(), gettext("You recorded this before you left this page, and have not sent it."));
  }

  send() {
    const parcel = { ...this.parcel, draft: false };
    this.reset();
    this.dispatch(parcel);
  }

  /** Sends a parcel, over lost connections and closed tabs, and waits for the verdict; the next can be read meanwhile. */
  async dispatch(parcel) {
    const { key, challenge, language, transcript, seconds } = parcel;
    const row = new SentRow(byId("readings"), parcel);
    const unwanted = new AbortController();
    const { signal } = unwanted;
    const leaving = (event) => event.preventDefault();
    this.count(1);
    try {
      row.sending(() => unwanted.abort());
      // A browser that keeps nothing asks before the page is closed.
      const kept = await keep(parcel).then(() => true, () => false);
      if (!kept) addEventListener("beforeunload", leaving);
      const onWait = (waiting) => row.waits(waiting, kept);
      const announced = { challenge, language, transcript };
      const { id } = await patiently(() => call("POST", "recordings", { json: announced, key }), { onWait, signal });
      const onProgress = (share) => row.arrived(share);
      const { examination } = await upload(`recordings/${id}/upload`, parcel.blob, { key: `${key}-end`, onProgress, onWait, signal });
      signal.throwIfAborted();
      this.state.sent.push({ id, language, seconds, examination, parcel: key });
      this.onChange();
      if (kept) await drop(key);
      await this.judge(row, { id, language, seconds }, examination);
    } catch (error) {
      const discard = () => {
        drop(key).catch(() => {});
        row.remove();
      };
      if (error.name === "AbortError") discard();
      else {
        const again = () => {
          row.remove();
          this.dispatch(parcel);
        };
        row.failed(error, [gettext("Send it again"), again], [gettext("Discard it"), discard]);
      }
    } finally {
      removeEventListener("beforeunload", leaving);
      this.count(-1);
    }
  }

  /**
   * What was there before the page was closed: verdicts are asked for again, what had not arrived goes on, and what was
   * not sent is offered again.
   */
  async resume(sent) {
    Object.assign(this.state, { recordings: [], sent });
    for (const { examination, parcel, ...recording } of sent) this.follow(recording, examination);
    this.total();
    // A browser that keeps nothing has nothing to go on with.
    const parcels = await waiting(this.state.person, this.state.challenge).catch(() => []);
    const arrived = new Set(sent.map((one) => one.parcel));
    for (const parcel of parcels) {
      if (arrived.has(parcel.key)) await drop(parcel.key);
      else if (parcel.draft) this.drafts.push(parcel);
      else this.dispatch(parcel);
    }
    if (this.drafts.length && !this.recorder && !this.parcel) this.goBack();
  }

  async follow(recording, examination) {
    this.count(1);
    await this.judge(new SentRow(byId("readings"), recording), recording, examination);
    this.count(-1);
  }

  /** Waits for the verdict on a reading that has arrived. */
  async judge(row, recording, examination) {
    row.listening();
    try {
      const found = await poll(`examinations/${examination}`, (one) => ["done", "failed"].includes(one.state));
      row.judged(found);
      if (found.verdict === "pass") {
        this.state.recordings.push(recording);
        this.onChange();
      }
    } catch (error) {
      row.failed(error);
    }
  }

  count(more) {
    this.open += more;
    this.total();
  }

  total() {
    const passed = this.state.recordings;
    const seconds = passed.reduce((sum, one) => sum + one.seconds, 0);
    byId("reading-total").textContent = passed.length
      ? fill(ngettext("%(n)s reading passed, %(time)s in all.", "%(n)s readings passed, %(time)s in all.", passed.length), {
          n: passed.length,
          time: span(seconds),
        })
      : gettext("None passed yet.");
    byId("reading-sum").value = seconds;
    byId("reading-done").disabled = passed.length === 0 || this.open > 0;
  }
}
