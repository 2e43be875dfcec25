// My consents: withdrawal, with each consequence before and after, and its time.
import { call } from "./api.js";
import { attempt, byId, el } from "./dom.js";
import { gettext, lang } from "./i18n.js";

for (const button of document.querySelectorAll("[data-open]")) {
  button.addEventListener("click", () => byId(button.dataset.open).showModal());
}

/** One consequence as a line: the sentence, how many, and when by the server's clock. */
function line(one) {
  const count = one.count > 1 ? ` (${one.count})` : "";
  const at = one.at.slice(0, 19).replace("T", " ");
  return el("li", {}, one.says[lang] + count, " ", el("time", { datetime: one.at, class: "meta" }, `${at} UTC`));
}

for (const dialog of document.querySelectorAll("dialog")) {
  const withdraw = dialog.querySelector("[data-withdraw]");
  const close = dialog.querySelector("[data-close]");
  let done = false;
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    // The page is made anew: it then shows the state as the server has it.
    if (done) location.reload();
  });
  withdraw.addEventListener("click", () =>
    attempt(withdraw, dialog.querySelector("[data-problem]"), async () => {
      const answer = await call("POST", `consents/${withdraw.dataset.withdraw}/withdraw`, { json: {} });
      done = true;
      const heading = dialog.querySelector("h3");
      heading.textContent = gettext("Withdrawn");
      dialog.querySelector("[data-before]").hidden = true;
      dialog
        .querySelector("[data-done]")
        .append(
          el("p", {}, gettext("What ended, and when:")),
          el("ul", {}, ...answer.consequences.map(line)),
          el("p", {}, gettext("What stays all the same:")),
          el("ul", {}, ...Object.values(answer.remains).map((says) => el("li", {}, says[lang]))),
        );
      withdraw.hidden = true;
      close.textContent = gettext("Close");
      heading.focus();
    }),
  );
}
