// The command palette: everything on the page that has a key or an address, found by typing.
import { el } from "./dom.js";

const wordsOf = (target) => (target.labels?.[0] ?? target).textContent.replace(/\s+/g, " ").trim();

/** Opens the palette over the commands of this page. */
export function openPalette(dialog) {
  if (!dialog || dialog.open) return;
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("[role=listbox]");
  const usable = (one) => !one.closest("fieldset:disabled") && !one.closest("dialog") && one.checkVisibility();
  const targets = [...document.querySelectorAll("[data-key], .top nav a, .tabs a, .queues a")].filter(usable);
  const commands = [...new Set(targets)].map((target) => ({ target, words: wordsOf(target) }));
  let shown = [];
  let at = 0;

  const draw = () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    shown = commands.filter(({ words }) => wanted.every((one) => words.toLowerCase().includes(one))).slice(0, 12);
    at = Math.min(at, Math.max(shown.length - 1, 0));
    list.replaceChildren(
      ...shown.map(({ words }, n) => {
        const row = el("li", { role: "option", id: `command-${n}`, "aria-selected": String(n === at) }, words);
        row.addEventListener("click", () => run(n));
        return row;
      }),
    );
    if (shown.length) input.setAttribute("aria-activedescendant", `command-${at}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const run = (n) => {
    const target = shown[n]?.target;
    dialog.close();
    if (!target) return;
    target.click();
    target.focus();
  };
  const type = () => {
    at = 0;
    draw();
  };
  const keys = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = Math.max(0, Math.min(shown.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)));
      draw();
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(at);
    }
  };
  input.addEventListener("input", type);
  input.addEventListener("keydown", keys);
  dialog.addEventListener(
    "close",
    () => {
      input.removeEventListener("input", type);
      input.removeEventListener("keydown", keys);
    },
    { once: true },
  );
  input.value = "";
  dialog.showModal();
  draw();
  input.focus();
}
