// A voice at once, while its training waits: made, followed, and then the page can speak.
import { poll, told } from "./api.js";
import { attempt, byId } from "./dom.js";
import { word } from "./i18n.js";
import { surely } from "./patience.js";

const OVER = ["succeeded", "failed", "refused", "cancelled"];
const button = byId("make-instant");

button.addEventListener("click", () =>
  attempt(button, byId("problem"), async () => {
    const job = await surely(`voices/${byId("instant").dataset.voice}/instant`, {}, byId("problem"));
    const done = await poll(`jobs/${job.id}`, (one) => OVER.includes(one.state), (one) => (byId("instant-stage").textContent = word(one.stage)));
    if (done.state === "succeeded") location.reload();
    else byId("instant-stage").textContent = told(done.error_code, done.error_detail) || word(done.state);
  }),
);
