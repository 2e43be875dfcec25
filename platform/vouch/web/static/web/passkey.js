// Passkeys (WebAuthn): the browser's own dialogue between a challenge of the server and the form that takes the answer.
import { call } from "./api.js";
import { byId, el } from "./dom.js";
import { gettext } from "./i18n.js";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
const known = (list = []) => list.map((one) => ({ ...one, id: bytes(one.id) }));

/** What the server sent, with bytes where the browser wants bytes. */
function options({ publicKey }) {
  const made = { ...publicKey, challenge: bytes(publicKey.challenge) };
  if (publicKey.user) made.user = { ...publicKey.user, id: bytes(publicKey.user.id) };
  if (publicKey.excludeCredentials) made.excludeCredentials = known(publicKey.excludeCredentials);
  if (publicKey.allowCredentials) made.allowCredentials = known(publicKey.allowCredentials);
  return { publicKey: made };
}

/** What the authenticator answered, as JSON (the shape of PublicKeyCredential.toJSON, which not every browser has). */
function answer(credential) {
  const { response } = credential;
  const said = { clientDataJSON: text(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) said[name] = text(response[name]);
  }
  if (response.attestationObject) said.transports = response.getTransports?.() ?? [];
  if (response.attestationObject) delete said.authenticatorData; // it is inside the attestation
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? null,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: said,
  };
}

/** Runs the browser's dialogue; `way` is "create" or "get". */
export async function passkey(way, asked) {
  if (!globalThis.PublicKeyCredential) throw new Error(gettext("This browser knows no passkeys."));
  return answer(await navigator.credentials[way](options(asked)));
}

/** Shows a passkey before what cannot be taken back; the session is marked by it. */
export async function stepUp() {
  const credential = await passkey("get", await call("POST", "step-up/passkey/challenge", { json: {} }));
  await call("POST", "step-up/passkey", { json: { credential } });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button");
  const box = byId("problem");
  button.addEventListener("click", async () => {
    button.disabled = true;
    box.hidden = true;
    try {
      let asked = form.dataset.options && JSON.parse(form.dataset.options);
      if (!asked) {
        const found = await fetch(form.dataset.challenge, { headers: { Accept: "application/json" } });
        if (!found.ok) throw new Error(gettext("The server cannot be reached."));
        asked = (await found.json()).request_options;
      }
      form.elements.credential.value = JSON.stringify(await passkey(form.dataset.passkey, asked));
      form.submit();
    } catch (error) {
      const stopped = ["NotAllowedError", "AbortError", "InvalidStateError"].includes(error.name);
      const said = stopped ? gettext("No passkey was used. Try again, or choose another way.") : error.message;
      box.replaceChildren(el("p", {}, said));
      box.hidden = false;
      button.disabled = false;
    }
  });
}
