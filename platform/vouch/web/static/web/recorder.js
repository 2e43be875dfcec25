// The microphone: opened unprocessed, read as PCM chunks, with a level meter that gives advice.
import { gettext } from "./i18n.js";
import { Problem } from "./api.js";

const CHUNK_SECONDS = 1;
const QUIET_DBFS = -45; // Speech this soft is refused by the quality check.
const CLIPPED = 0.985; // Peak from which samples are, in all likelihood, cut off.
const ADVICE_SECONDS = 2; // Levels are judged over this long, so that pauses between words do not count as quiet.
const NOISE_SECONDS = 4; // Long enough to hold a pause: between words nothing should be heard.
const NOISY_DBFS = -42; // A room that is louder than this in its pauses ...
const LEAST_SNR_DB = 15; // ... and nearer to the speech than this is refused by the quality check.
const LEVELS_A_SECOND = 10;

/** What the browser or person said no to, as a problem with advice. */
function refused(error) {
  const advice = {
    NotAllowedError: gettext("Allow this page to use the microphone in the browser’s address bar, then try again."),
    NotFoundError: gettext("Connect a microphone, then try again."),
    NotReadableError: gettext("Another program uses the microphone. Close it, then try again."),
  };
  return new Problem(0, {
    code: "no_microphone",
    detail: gettext("The microphone could not be opened."),
    advice: advice[error.name] ?? gettext("Open this page over https or on this computer itself, and try another browser."),
  });
}

/** The microphone went away while it was in use. */
export const lost = () =>
  new Problem(0, {
    code: "microphone_lost",
    detail: gettext("The microphone was disconnected."),
    advice: gettext("Plug it in again, or choose another one in the browser, then start again."),
  });

export class Recorder {
  /**
   * Asks for the microphone. `rate`: samples a second of the chunks, or null for the device's own. `worklet`: address
   * of pcm-worklet.js. Throws Problem.
   */
  static async open({ worklet, rate = null }) {
    let stream;
    try {
      // Processing made for calls would change the very things that are measured.
      const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw refused(error);
    }
    const context = new AudioContext();
    await context.audioWorklet.addModule(worklet);
    const wanted = rate ?? context.sampleRate;
    const node = new AudioWorkletNode(context, "pcm", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate: wanted, chunkSeconds: CHUNK_SECONDS },
    });
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
    return new Recorder(context, stream, node, wanted);
  }

  constructor(context, stream, node, rate) {
    Object.assign(this, { context, stream, node, rate });
    this.onChunk = () => {};
    this.onLevel = () => {};
    this.onLost = () => {};
    this.stopped = null;
    node.port.onmessage = ({ data }) => {
      if (data.pcm) this.onChunk(data.pcm);
      else if (data.stopped) this.stopped?.();
      else this.onLevel(data);
    };
    for (const track of stream.getTracks()) track.onended = () => this.onLost();
    this.leaving = (event) => event.preventDefault(); // The browser asks before a recording is thrown away.
  }

  start() {
    addEventListener("beforeunload", this.leaving);
    this.node.port.postMessage("start");
  }

  /** Ends the recording; resolves when the last chunk was handed over. */
  stop() {
    return new Promise((resolve) => {
      this.stopped = resolve;
      this.node.port.postMessage("stop");
    });
  }

  /** Switches the microphone off. */
  close() {
    removeEventListener("beforeunload", this.leaving);
    for (const track of this.stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
    this.context.close();
  }
}

/** Shows levels in the meter inside `box` and says when something is wrong. */
export class Meter {
  constructor(box) {
    this.box = box;
    this.bar = box.querySelector("meter");
    this.advice = box.querySelector("[data-level-advice]");
    this.recent = [];
    this.floor = [];
    box.hidden = false;
  }

  take({ rms, peak }) {
    const level = 20 * Math.log10(Math.max(rms, 1e-6));
    this.bar.value = Math.max(-60, level);
    const at = performance.now();
    this.recent.push({ at, level, peak });
    this.recent = this.recent.filter((one) => at - one.at < ADVICE_SECONDS * 1000);
    this.floor = [...this.floor, level].slice(-NOISE_SECONDS * LEVELS_A_SECOND);
    const said = this.judged();
    // Only a change is written: a live region that is written ten times a second is read out ten times a second.
    if (this.advice.textContent !== said) this.advice.textContent = said;
    return level;
  }

  /** What to do about the sound, or "" when it is good. */
  judged() {
    const loudest = Math.max(...this.recent.map((one) => one.level));
    if (Math.max(...this.recent.map((one) => one.peak)) > CLIPPED) return gettext("Too loud: move back a little.");
    if (this.recent.length > 12 && loudest < QUIET_DBFS) return gettext("Too quiet: come closer or speak up.");
    if (this.floor.length < NOISE_SECONDS * LEVELS_A_SECOND) return "";
    const quietest = [...this.floor].sort((a, b) => a - b)[Math.floor(this.floor.length / 10)];
    return quietest > NOISY_DBFS && Math.max(...this.floor) - quietest < LEAST_SNR_DB
      ? gettext("Noisy: something hums or rustles along. Switch it off, or find a quieter place.")
      : "";
  }

  off() {
    this.box.hidden = true;
    this.advice.textContent = "";
  }
}

/** A WAV file (16-bit mono) of PCM chunks. RIFF/WAVE, Microsoft and IBM 1991. */
export function wav(chunks, rate) {
  const size = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const head = new DataView(new ArrayBuffer(44));
  const ascii = (at, text) => [...text].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  ascii(0, "RIFF");
  head.setUint32(4, 36 + size, true);
  ascii(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  ascii(36, "data");
  head.setUint32(40, size, true);
  return new Blob([head.buffer, ...chunks], { type: "audio/wav" });
}
