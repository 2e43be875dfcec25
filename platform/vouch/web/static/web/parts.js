// Lists that are searched or go on without a new page (htmx): what is being typed stays, and a list grows while one of
// its recordings plays. The answer is the page itself, of which `#found` is taken; without htmx, form and link bring it.
import { Unreachable } from "./api.js";
import { byId, report } from "./dom.js";
import { fill, gettext } from "./i18n.js";

/** Runs `work(root)` on the page, and on every part that comes later. */
export function onParts(work) {
  work(document);
  document.addEventListener("htmx:load", ({ target }) => {
    if (target !== document.body) work(target);
  });
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo } = event.detail;
  const whole = new DOMParser().parseFromString(xhr.responseText, "text/html");
  if (xhr.status === 200 && whole.getElementById("found")) return;
  event.detail.shouldSwap = false; // Signed out meanwhile, or refused: the page says so itself.
  location.assign(pathInfo.finalRequestPath);
});

document.addEventListener("htmx:sendError", () => report(byId("problem"), new Unreachable()));

document.addEventListener("htmx:afterSettle", ({ target, detail }) => {
  if (detail.requestConfig.elt.matches("form")) {
    const n = target.querySelectorAll("[data-found] > li").length;
    byId("found-said").textContent = fill(gettext("Found: %(n)s"), { n });
  } else if (target.matches("[data-found]")) {
    const first = target.querySelector("li");
    first.tabIndex = -1;
    first.focus(); // The link that was pressed is gone.
  }
});
