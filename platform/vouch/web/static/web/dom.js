// Small helpers. Data reaches the page as text only, never as markup.
import { Problem } from "./api.js";
import { gettext } from "./i18n.js";

export const byId = (id) => document.getElementById(id);

/**
 * What only scripts can do is `inert` in the page until they are here: a click that comes earlier would be lost, and a
 * form that is sent earlier would put what was typed into the address.
 */
function wake() {
  for (const one of document.querySelectorAll("main [inert]")) one.inert = false;
}
if (document.readyState === "complete") wake();
else document.addEventListener("DOMContentLoaded", wake); // after every module of the page
document.addEventListener("htmx:load", wake); // and in parts that come later

/** Makes an element: `el("p", {class: "meta"}, "text", child)`. Strings become text. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Shows what went wrong, its code, and what to do next, in `box`; null clears it. */
export function report(box, error) {
  box.replaceChildren();
  box.hidden = !error;
  if (!error) return;
  if (!(error instanceof Problem)) console.error(error);
  const known = error instanceof Problem;
  box.append(el("p", {}, el("strong", {}, known ? error.detail : gettext("Something went wrong on this page."))));
  for (const [name, said] of Object.entries(known && error.fields ? error.fields : {})) {
    box.append(el("p", {}, `${name}: ${[said].flat().map(String).join(" ")}`));
  }
  if (known && error.advice) box.append(el("p", {}, error.advice));
  if (known && error.code) box.append(el("p", {}, el("code", {}, error.code)));
  if (box.tabIndex < 0 && box.hasAttribute("tabindex")) box.focus();
  box.scrollIntoView({ block: "nearest" });
}

/** Runs `work` with `button` disabled, and shows what it throws in `box`. */
export async function attempt(button, box, work) {
  report(box, null);
  if (button) button.disabled = true;
  try {
    return await work();
  } catch (error) {
    report(box, error);
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}
