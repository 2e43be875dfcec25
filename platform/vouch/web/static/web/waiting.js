// My voices and my data: readings that this browser alone has, to go on with or to be thrown away.
import { drop, waiting } from "./parcels.js";
import { byId } from "./dom.js";
import { fill, ngettext } from "./i18n.js";

const note = byId("waiting");
// A browser that keeps nothing has nothing to show.
const mine = await waiting(note.dataset.person).catch(() => []);
if (mine.length) {
  const until = new Date(Math.min(...mine.map((one) => one.until)));
  const at = until.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const said = ngettext(
    "%(n)s reading of you has not arrived here. This browser alone keeps it, until %(at)s at most.",
    "%(n)s readings of you have not arrived here. This browser alone keeps them, until %(at)s at most.",
    mine.length,
  );
  byId("waiting-said").textContent = fill(said, { n: mine.length, at });
  note.hidden = false;
  byId("waiting-drop").addEventListener("click", async () => {
    for (const { key } of mine) await drop(key);
    note.hidden = true;
    document.querySelector("main").focus();
  });
}
