// Readings that have not arrived: sent off, or recorded and not sent yet. Kept in this browser, in the clear, until they
// have, so that a closed tab loses nothing. They are sound of a person: another person's, and those that nobody would
// accept any more, are thrown away unread (docs/custody.md).
const NAME = "vouch";
const STORE = "parcels";

/** How long a passed challenge vouches for readings: none is kept longer. */
export const LIFE_MS = 24 * 3600 * 1000;

function opened() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "key" });
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function store(mode, act) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const asked = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Keeps `{key, person, challenge, at, until, blob, …}` (times in ms); a later one with the same `key` takes its place. */
export const keep = (parcel) => store("readwrite", (all) => all.put(parcel));

export const drop = (key) => store("readwrite", (all) => all.delete(key));

export const dropAll = () => store("readwrite", (all) => all.clear());

/** Those of `person`, under `challenge` if one is given, whose time is not over, oldest first. All others are dropped. */
export async function waiting(person, challenge = null) {
  const found = await store("readonly", (all) => all.getAll());
  const fits = (one) => one.person === person && [null, one.challenge].includes(challenge) && Date.now() < one.until;
  for (const one of found) if (!fits(one)) await drop(one.key);
  return found.filter(fits).sort((a, b) => a.at - b.at);
}
