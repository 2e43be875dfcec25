// <vouch-player>: a sound that says what it is before it can be played, and that falls silent when it was revoked.
//
//   <script type="module" src="https://HOST/static/web/player.js"></script>
//   <vouch-player src="speech.mp3" list="https://HOST/api/v1/status/1" index="7" voice="Sam" seconds="4.0"></vouch-player>
//
// The list is a W3C Bitstring Status List, fetched whole from the platform itself (TLS vouches for it here; `vouch verify`
// checks its signature). When it cannot be had, nothing is played: a revocation must not depend on a request that fails.

const LIST_BYTES = 131072 / 8;
const MAX_AGE = 300_000;
const kept = new Map();

const WORDS = {
  en: {
    made: "Speech made by artificial intelligence",
    voice: (name) => ` in the voice “${name}”`,
    label: (seconds) => `. It begins with an audible label of ${seconds} s.`,
    sound: "Recording made by artificial intelligence",
    how: "How do I know?",
    waiting: "Asking whether it still stands …",
    revoked: "This recording has been withdrawn and is not played.",
    unknown: "Whether this recording still stands cannot be told, so it is not played.",
  },
  zh: {
    made: "由人工智能合成的语音",
    voice: (name) => `,声音:“${name}”`,
    label: (seconds) => `。开头有 ${seconds} 秒的语音标识。`,
    sound: "由人工智能合成的录音",
    how: "如何核实?",
    waiting: "正在查询其是否仍然有效……",
    revoked: "此录音已被撤回,不再播放。",
    unknown: "无法确认此录音是否仍然有效,因此不予播放。",
  },
};

const base64 = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

/** The bits of a signed list (compact JWS); throws when it is none. */
export async function bitsOf(text) {
  const subject = JSON.parse(new TextDecoder().decode(base64(text.split(".")[1]))).credentialSubject;
  if (subject.type !== "BitstringStatusList" || subject.statusPurpose !== "revocation") throw new Error("no such list");
  if (subject.encodedList[0] !== "u") throw new Error("not base64url");
  const packed = new Blob([base64(subject.encodedList.slice(1))]).stream();
  const bits = new Uint8Array(LIST_BYTES);
  let filled = 0;
  for (const reader = packed.pipeThrough(new DecompressionStream("gzip")).getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (filled + value.length > LIST_BYTES) throw new Error("the list is too long");
    bits.set(value, filled);
    filled += value.length;
  }
  if (filled !== LIST_BYTES) throw new Error("the list is too short");
  return bits;
}

/** Whether place `index` of the list at `address` is revoked. Throws when that cannot be told. */
export async function revoked(address, index) {
  if (!Number.isInteger(index) || index < 0 || index >= LIST_BYTES * 8) throw new Error("no such place");
  let found = kept.get(address);
  if (!found || Date.now() - found.at > MAX_AGE) {
    const answer = await fetch(address, { credentials: "omit", redirect: "error" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    found = { at: Date.now(), bits: await bitsOf(await answer.text()) };
    kept.set(address, found);
  }
  return Boolean((found.bits[index >> 3] >> (7 - (index & 7))) & 1);
}

class VouchPlayer extends HTMLElement {
  async connectedCallback() {
    if (this.childElementCount) return;
    const language = (this.closest("[lang]")?.lang ?? "en").toLowerCase().startsWith("zh") ? "zh" : "en";
    const words = WORDS[language];
    const seconds = Number(this.getAttribute("seconds"));
    const voice = this.getAttribute("voice");
    const caption = document.createElement("p");
    caption.id = `vouch-${crypto.randomUUID()}`;
    caption.className = "label";
    caption.textContent =
      words.made + (voice ? words.voice(voice) : "") + (seconds > 0 ? words.label(seconds.toFixed(1)) : ".");
    const state = document.createElement("p");
    state.setAttribute("role", "status");
    state.textContent = words.waiting;
    this.setAttribute("role", "group");
    this.setAttribute("aria-labelledby", caption.id);
    this.replaceChildren(caption, state);
    if (await this.stands(state, words)) {
      state.textContent = "";
      const sound = document.createElement("audio");
      sound.controls = true;
      sound.preload = "none";
      sound.src = this.getAttribute("src");
      sound.setAttribute("aria-label", words.sound);
      sound.setAttribute("aria-describedby", caption.id);
      sound.addEventListener("play", async () => {
        if (await this.stands(state, words)) return;
        sound.pause();
        sound.remove();
      });
      this.append(sound);
    }
    // Whoever has the sound can have it traced where it was made: there stand its consent, its licence, its receipt.
    const how = document.createElement("a");
    how.href = new URL("/trace", this.listAddress()).href;
    how.textContent = words.how;
    const way = document.createElement("p");
    way.append(how);
    this.append(way);
  }

  /** Where the list is, as an address of its own: the platform that made the recording. */
  listAddress() {
    return new URL(this.getAttribute("list") ?? "", document.baseURI);
  }

  async stands(state, words) {
    try {
      if (!(await revoked(this.getAttribute("list"), Number(this.getAttribute("index") ?? NaN)))) return true;
      state.textContent = words.revoked;
    } catch {
      state.textContent = words.unknown;
    }
    return false;
  }
}

if (!customElements.get("vouch-player")) customElements.define("vouch-player", VouchPlayer);
