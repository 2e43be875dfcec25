// Readings that were sent off and have not arrived: kept in this browser until they have, so that a closed tab loses
// nothing. They are sound of a person: another person's and those of yesterday are thrown away unread.
const NAME = "vouch";
const STORE = "parcels";
const LIFE_MS = 24 * 3600 * 1000; // As long as a passed challenge vouches for them.

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

/** Keeps `{key, person, challenge, at, blob, …}`; a later one with the same `key` takes its place. */
export const keep = (parcel) => store("readwrite", (all) => all.put(parcel));

export const drop = (key) => store("readwrite", (all) => all.delete(key));

export const dropAll = () => store("readwrite", (all) => all.clear());

/** Those of `person` under `challenge`, oldest first. All others are dropped. */
export async function waiting(person, challenge) {
  const found = await store("readonly", (all) => all.getAll());
  const fits = (one) => one.person === person && one.challenge === challenge && Date.now() - one.at < LIFE_MS;
  for (const one of found) if (!fits(one)) await drop(one.key);
  return found.filter(fits).sort((a, b) => a.at - b.at);
}
