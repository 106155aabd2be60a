// Keeps the tokens in IndexedDB, where all tabs of the page find them. localStorage would not do: a tab in another
// process may read what was there before a write, even while it has the lock.

const database = new Promise((resolve, reject) => {
  const request = indexedDB.open("login", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("tokens");
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

// transact runs one request, and returns its result when the transaction is complete.
async function transact(mode, run) {
  const transaction = (await database).transaction("tokens", mode);
  const request = run(transaction.objectStore("tokens"));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

const tabs = new BroadcastChannel("login");

// load returns the tokens, or undefined if nobody is logged in.
export const load = () => transact("readonly", (store) => store.get("tokens"));

export async function save(tokens) {
  await transact("readwrite", (store) => store.put(tokens, "tokens"));
  tabs.postMessage("saved");
}

export async function forget() {
  await transact("readwrite", (store) => store.delete("tokens"));
  tabs.postMessage("forgotten");
}

// onChange calls a function when another tab has saved or forgotten tokens.
export const onChange = (action) => tabs.addEventListener("message", action);
