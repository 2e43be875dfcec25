// The second factor, shown again before what asks for it: the dialog of stepup.html.
import { call } from "./api.js";
import { byId } from "./dom.js";
import { stepUp } from "./passkey.js";

const stepup = byId("stepup");

/** Resolves to how the factor is shown: `{code}` or `{passkey: true}`; null when the person leaves it. */
function askForFactor(methods) {
  const code = methods.includes("code");
  byId("with-code").hidden = !code;
  byId("code").required = code;
  stepup.querySelector('[value="yes"]').hidden = !code;
  stepup.querySelector('[value="passkey"]').hidden = !methods.includes("passkey");
  return new Promise((resolve) => {
    byId("code").value = "";
    const chosen = () => ({ yes: { code: byId("code").value }, passkey: { passkey: true } })[stepup.returnValue] ?? null;
    stepup.addEventListener("close", () => resolve(chosen()), { once: true });
    stepup.returnValue = "";
    stepup.showModal();
    if (code) byId("code").focus();
  });
}

/** Does the work; when it asks for the second factor, asks for that, and does it again. */
export async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (error.code !== "step_up_needed") throw error;
    const shown = await askForFactor(error.body.methods ?? ["code"]);
    if (shown === null) throw error;
    if (shown.passkey) await stepUp();
    else await call("POST", "step-up", { json: shown });
    return work();
  }
}
