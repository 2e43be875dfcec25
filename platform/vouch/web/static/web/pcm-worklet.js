// Runs on the audio thread: microphone samples in, 16-bit PCM chunks and levels out.
import { Resampler, toPcm16 } from "./resample.js";

const LEVEL_SECONDS = 0.1; // How often a level is reported.

class PcmProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate, chunkSeconds } }) {
    super();
    this.resampler = new Resampler(sampleRate, rate);
    this.chunk = Math.round(rate * chunkSeconds);
    this.waiting = [];
    this.count = 0;
    this.on = false;
    this.energy = 0;
    this.peak = 0;
    this.heard = 0;
    this.port.onmessage = ({ data }) => {
      if (data === "start") {
        this.resampler = new Resampler(sampleRate, rate);
        this.waiting = [];
        this.count = 0;
        this.on = true;
      } else if (data === "stop") {
        this.take(this.resampler.flush());
        this.send(this.count);
        this.on = false;
        this.port.postMessage({ stopped: true });
      }
    };
  }

  process([[samples]]) {
    if (!samples) return true;
    for (const value of samples) {
      this.energy += value * value;
      this.peak = Math.max(this.peak, Math.abs(value));
    }
    this.heard += samples.length;
    if (this.heard >= sampleRate * LEVEL_SECONDS) {
      this.port.postMessage({ rms: Math.sqrt(this.energy / this.heard), peak: this.peak });
      this.energy = this.peak = this.heard = 0;
    }
    if (this.on) this.take(this.resampler.push(samples));
    return true;
  }

  take(samples) {
    this.waiting.push(samples);
    this.count += samples.length;
    while (this.count >= this.chunk) this.send(this.chunk);
  }

  /** Posts the next `length` samples. */
  send(length) {
    if (!length) return;
    const joined = new Float32Array(this.count);
    let at = 0;
    for (const part of this.waiting) {
      joined.set(part, at);
      at += part.length;
    }
    const pcm = toPcm16(joined.subarray(0, length));
    this.waiting = [joined.slice(length)];
    this.count -= length;
    this.port.postMessage({ pcm }, [pcm]);
  }
}

registerProcessor("pcm", PcmProcessor);
