// Setting up a second factor: the password, the secret (shown once), the first code.
import { call } from "./api.js";
import { attempt, byId } from "./dom.js";

const box = byId("problem");

byId("begin")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const begin = event.currentTarget;
  attempt(begin.querySelector("button"), box, async () => {
    const made = await call("POST", "second-factor", { json: { password: byId("password").value } });
    byId("secret").textContent = made.secret;
    byId("address").href = made.address;
    begin.hidden = true;
    byId("confirm").hidden = false;
    byId("code").focus();
  });
});

byId("confirm")?.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(event.currentTarget.querySelector("button"), box, async () => {
    await call("POST", "second-factor/confirm", { json: { code: byId("code").value } });
    location.reload();
  });
});
