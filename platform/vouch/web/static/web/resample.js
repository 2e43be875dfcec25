// Streaming resampling by windowed-sinc interpolation, for any pair of rates (44.1 and 48 kHz to 16 kHz in practice).
// Crochiere & Rabiner, "Multirate Digital Signal Processing", 1983, ch. 2; Kaiser window.

const ZERO_CROSSINGS = 24; // Half the filter's length in periods of the lower rate: steep enough to keep 7 of 8 kHz.
const ROLLOFF = 0.94; // Cutoff as a share of the lower rate's half.
const BETA = 8; // Kaiser's parameter: about 80 dB of stopband.
const PHASES = 512; // Entries of the table per zero crossing; linear interpolation between them.

function bessel0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function kernel() {
  const size = ZERO_CROSSINGS * PHASES;
  const table = new Float32Array(size + 2);
  for (let i = 0; i <= size; i++) {
    const t = i / PHASES;
    const x = Math.PI * t * ROLLOFF;
    const window = bessel0(BETA * Math.sqrt(Math.max(0, 1 - (i / size) ** 2))) / bessel0(BETA);
    table[i] = (i === 0 ? 1 : Math.sin(x) / x) * window * ROLLOFF;
  }
  return table;
}

/** `push(Float32Array)` takes samples at rate `from` and returns those ready at rate `to`. Equal rates copy. */
export class Resampler {
  constructor(from, to) {
    this.copy = from === to;
    this.step = from / to;
    this.scale = Math.min(1, to / from);
    this.reach = ZERO_CROSSINGS / this.scale;
    this.table = this.copy ? null : kernel();
    this.history = new Float32Array(Math.ceil(this.reach) + 1); // silence before the beginning
    this.position = this.history.length; // of the next output sample, in input samples from the history's start
  }

  push(input) {
    if (this.copy) return Float32Array.from(input);
    const all = new Float32Array(this.history.length + input.length);
    all.set(this.history);
    all.set(input, this.history.length);
    const made = [];
    while (this.position + this.reach < all.length) {
      made.push(this.at(all, this.position));
      this.position += this.step;
    }
    const keep = Math.max(0, Math.floor(this.position - this.reach) - 1);
    this.history = all.slice(keep);
    this.position -= keep;
    return Float32Array.from(made);
  }

  /** What is still inside the filter, at the end. */
  flush() {
    return this.copy ? new Float32Array(0) : this.push(new Float32Array(Math.ceil(this.reach)));
  }

  at(all, position) {
    let sum = 0;
    const last = Math.floor(position + this.reach);
    for (let n = Math.ceil(position - this.reach); n <= last; n++) {
      const place = Math.abs(n - position) * this.scale * PHASES;
      const index = Math.floor(place);
      const low = this.table[index] ?? 0;
      const high = this.table[index + 1] ?? 0;
      sum += (all[n] ?? 0) * (low + (high - low) * (place - index));
    }
    return sum * this.scale;
  }
}

/** Samples of -1 to 1 as 16-bit little-endian integers, clipped. */
export function toPcm16(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  for (let i = 0; i < samples.length; i++) {
    view.setInt16(i * 2, Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32767))), true);
  }
  return view.buffer;
}
