// A recording goes up in pieces: whatever breaks off goes on from the last byte that arrived (docs/api.md).
import { call } from "./api.js";
import { patiently } from "./patience.js";

export const LARGEST = 2 ** 20; // What the API takes at once.
const PIECE = 2 ** 18;
const SMALLEST = 2 ** 14;
const PIECE_MS = 60_000; // A line that hangs longer than this over one piece is a broken one.

/**
 * Sends `blob` to the upload at `path`, which was announced; returns what ending it answers. Called again for the same
 * one with the same `key`, it goes on where the server stands, up to the answer that was lost. `onProgress` hears the
 * share that has arrived, 0 to 1; `onWait` and `signal` are those of `patiently`. Throws Problem.
 */
export async function upload(path, blob, { key, onProgress = () => {}, onWait, signal }) {
  let piece = PIECE;
  for (let at = null; at === null || at < blob.size; ) {
    at = await patiently(
      async () => {
        try {
          const stands = at ?? (await call("GET", path, { ms: PIECE_MS })).offset;
          if (stands >= blob.size) return stands;
          const body = blob.slice(stands, stands + piece);
          const { offset } = await call("PATCH", path, { body, headers: { "Upload-Offset": stands }, ms: PIECE_MS });
          piece = Math.min(2 * piece, LARGEST);
          return offset;
        } catch (error) {
          if (error.code === "wrong_offset") return error.body.offset;
          if (error.code === "recording_already_received") return blob.size; // only the last answer was lost
          // Some of it may have arrived: the server is asked before anything is sent again.
          piece = Math.max(piece / 2, SMALLEST);
          at = null;
          throw error;
        }
      },
      { onWait, signal },
    );
    onProgress(Math.min(at / blob.size, 1));
  }
  const sha256 = await digest(blob);
  return patiently(() => call("POST", path, { json: { sha256 }, key, ms: PIECE_MS }), { onWait, signal });
}

async function digest(blob) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}
