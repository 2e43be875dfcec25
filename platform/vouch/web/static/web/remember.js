// The words of what was spoken. The platform forgets a text once it is spoken; this browser keeps it for its owner,
// under the person's id, until it is told to forget.
const MOST = 300;
const MOST_CHARACTERS = 300_000;
const person = document.querySelector("[data-person]")?.dataset.person ?? "";
const KEY = `vouch-texts:${person}`;

/** What is kept: `[[request, text], …]`, newest first. */
function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => Array.isArray(one) && one.length === 2) : [];
  } catch {
    return [];
  }
}

export function remember(request, text) {
  let room = MOST_CHARACTERS;
  const all = [[request, text], ...kept().filter(([id]) => id !== request)].slice(0, MOST);
  try {
    localStorage.setItem(KEY, JSON.stringify(all.filter(([, one]) => (room -= one.length) >= 0)));
  } catch {
    // A browser that keeps nothing is a choice, not an error.
  }
}

/** The text of a request, or "" when this browser does not know it. */
export const recall = (request) => kept().find(([id]) => id === request)?.[1] ?? "";

/** Requests whose text has all the words of `query`, newest first. */
export function search(query) {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const has = (text) => words.every((word) => text.toLocaleLowerCase().includes(word));
  return words.length ? kept().filter(([, text]) => has(text)).map(([id]) => id) : [];
}

export const known = () => kept().length;
export const forget = () => localStorage.removeItem(KEY);
