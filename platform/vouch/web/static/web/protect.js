// Forbidding the cloning of one's own voice: a live challenge, and it is done; and lifting it again.
import { call, newKey } from "./api.js";
import { ChallengeStep } from "./challenge.js";
import { attempt, byId } from "./dom.js";

const box = byId("problem");
const page = byId("ceremony");

if (page) {
  new ChallengeStep(page, (challenge) =>
    attempt(byId("challenge-next"), box, async () => {
      await call("POST", "protected-voices", { json: { challenge }, key: newKey() });
      location.reload();
    }),
  );
}

byId("lift")?.addEventListener("click", (event) => {
  const button = event.currentTarget;
  attempt(button, box, async () => {
    await call("DELETE", `protected-voices/${button.dataset.protection}`);
    location.reload();
  });
});
