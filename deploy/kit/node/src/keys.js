import { open, stat } from 'node:fs/promises';
import { constants } from 'node:fs';
import { messageOf } from './errors.js';
import { Requests } from './http.js';
import { Pause, Signal, sleep } from './pause.js';
import { Ring, parsePublishedRing, parseRing } from './ring.js';

/**
 * Where the keys come from.
 *
 * @typedef {object} KeySource
 * @property {Ring} ring the ring to use now
 * @property {() => boolean} pending reports whether there may be keys that the source has not read yet
 * @property {() => Promise<void>} settled resolves when the keys that are being fetched are there, or cannot be had now
 * @property {() => import('../types/index.d.ts').KeyStats} stats
 * @property {() => void} close ends the work in the background
 */

/** @typedef {import('../types/index.d.ts').Log} Log */

const maxFile = 256 << 10; // bytes

/**
 * A source that never changes.
 *
 * @param {Ring} ring
 * @returns {KeySource}
 */
export function fixedKeys(ring) {
  const stats = () => ({ failures: 0, end: dateOf(ring.end()) });
  return { ring, pending: () => false, settled: async () => {}, stats, close: () => {} };
}

/** Times of a JWK Set that is fetched, in milliseconds. */
const fetching = {
  interval: 60_000,
  minInterval: 10_000, // between fetches for an unknown kid
  firstRetry: 2_000, // after a failure, without keys
  retry: 10_000, // after a failure, with the keys of the last fetch
  timeout: 5_000,
  maxWait: 4_000, // how long a request with an unknown kid waits for a fetch
};

/**
 * A JWK Set that an authorization server publishes. It is fetched in the background. Only a request with a kid that is
 * not known yet waits for it.
 *
 * @implements {KeySource}
 */
export class URLKeys {
  ring = new Ring([]);
  #url;
  #log;
  #failures = 0;
  /** @type {string | undefined} */
  #error;
  #requests = new Requests();
  #pause = new Pause();
  #requested = 0; // when a fetch was last requested for an unknown kid
  #fetching = true; // whether that fetch, or the first one, has not succeeded yet
  #settled = new Signal(); // of that fetch: when it is over
  /** @type {Buffer | undefined} */
  #told; // the set whose ignored keys were logged last

  /**
   * @param {string} url
   * @param {Log} log
   */
  constructor(url, log) {
    this.#url = url;
    this.#log = log;
    void this.#watch();
  }

  pending() {
    const now = performance.now();
    if (!this.#fetching && (this.#requested === 0 || now - this.#requested >= fetching.minInterval)) {
      this.#requested = now;
      this.#fetching = true;
      this.#settled = new Signal();
      this.#pause.wake();
    }
    return this.#fetching;
  }

  settled() {
    return Promise.race([this.#settled.sent, sleep(fetching.maxWait, false)]);
  }

  stats() {
    return { failures: this.#failures, error: this.#error, end: dateOf(this.ring.end()) };
  }

  close() {
    this.#requests.close();
    this.#pause.wake();
  }

  async #watch() {
    while (!this.#requests.closed) {
      await this.#pause.sleep(await this.#round());
    }
  }

  /** Fetches the keys, and returns how long to wait before the next fetch. */
  async #round() {
    const requested = this.#requested;
    const settled = this.#settled;
    let pause = fetching.interval;
    try {
      await this.#fetch();
      this.#fetching = this.#requested !== requested; // a fetch that was requested meanwhile is still to come
      if (this.#error) this.#log('info', 'keys fetched again', { url: this.#url });
      this.#error = undefined;
    } catch (error) {
      pause = this.#failed(error);
    }
    settled.send();
    return pause;
  }

  /** @param {unknown} error */
  #failed(error) {
    if (this.#requests.closed) return 0;
    this.#failures++;
    this.#error = messageOf(error);
    const kept = this.ring.keys.length > 0;
    const message = kept
      ? 'keys not fetched: those fetched last stay in use'
      : 'keys not fetched: no token can be verified until they are';
    this.#log('warn', message, { url: this.#url, error: this.#error });
    return kept ? fetching.retry : fetching.firstRetry;
  }

  async #fetch() {
    const { body } = await this.#requests.get(this.#url, { timeout: fetching.timeout, limit: maxFile });
    const { ring, ignored } = await parsePublishedRing(body).catch((error) => {
      throw messageOf(error) === 'it holds no keys' ? new Error(nonePublished) : error;
    });
    this.#logIgnored(body, ignored);
    const keys = ring.keys.filter((key) => !key.isForIDTokens);
    if (keys.length === 0) throw new Error(nonePublished);
    const next = new Ring(keys);
    if (!next.equals(this.ring)) this.ring = next; // a new ring invalidates the cache of verified tokens
  }

  /**
   * Logs how many keys of a set are ignored, and why the first one is: once until the set changes.
   *
   * @param {Uint8Array} set
   * @param {string[]} ignored
   */
  #logIgnored(set, ignored) {
    if (ignored.length === 0 || this.#told?.equals(set)) return;
    this.#told = Buffer.from(set);
    const fields = { url: this.#url, ignored: ignored.length, first: ignored[0] };
    this.#log('info', 'published keys ignored: they cannot verify tokens here', fields);
  }
}

const nonePublished = 'the authorization server publishes no public key: ' +
  'it signs with a shared secret, which a keys file can hold';

/** Times of a JWK Set in a file, in milliseconds. */
const watching = {
  interval: 2_000,
  retry: 10_000, // after a failure, if the file has not changed
};

/**
 * A JWK Set in a file, which is read again when it changes.
 *
 * @implements {KeySource}
 */
export class FileKeys {
  ring = new Ring([]);
  #path;
  #check;
  #log;
  #failures = 0;
  /** @type {string | undefined} */
  #error;
  #closed = false;
  #pause = new Pause();
  #seen = ''; // what identifies the version of the file that was read last
  #readAt = 0;

  /**
   * @param {string} path
   * @param {(ring: Ring) => void} check throws if a ring must not be used
   * @param {Log} log
   */
  constructor(path, check, log) {
    this.#path = path;
    this.#check = check;
    this.#log = log;
  }

  /** Reads the file for the first time, and follows it from then on. It throws if the file cannot be used. */
  async open() {
    this.#seen = await version(this.#path);
    await this.#read();
    void this.#watch();
    return this;
  }

  pending() {
    return this.#error !== undefined;
  }

  async settled() {}

  stats() {
    return { failures: this.#failures, error: this.#error, end: dateOf(this.ring.end()) };
  }

  close() {
    this.#closed = true;
    this.#pause.wake();
  }

  async #watch() {
    for (await this.#pause.sleep(watching.interval); !this.#closed; await this.#pause.sleep(watching.interval)) {
      await this.#reload();
    }
  }

  /** Reads the file if it has changed, or some time after a failure. */
  async #reload() {
    const seen = await version(this.#path);
    const failing = this.#error !== undefined;
    if (seen === this.#seen && !(failing && performance.now() - this.#readAt >= watching.retry)) return;
    this.#seen = seen;
    try {
      await this.#read();
      this.#error = undefined;
      this.#log('info', 'keys file read', { file: this.#path, keys: this.ring.keys.length });
    } catch (error) {
      this.#failures++;
      this.#error = messageOf(error);
      const fields = { file: this.#path, error: this.#error };
      this.#log('error', 'keys file not usable: the keys read last stay in use', fields);
    }
  }

  async #read() {
    this.#readAt = performance.now();
    const ring = await parseRing(await readKeysFile(this.#path));
    this.#check(ring);
    this.ring = ring;
  }
}

/**
 * Returns a text that changes when the file does.
 *
 * @param {string} path
 */
async function version(path) {
  try {
    const { dev, ino, size, mode, mtimeMs } = await stat(path);
    return [dev, ino, size, mode, mtimeMs].join(' ');
  } catch {
    return 'missing';
  }
}

/** @param {string} path */
async function readKeysFile(path) {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new Error('it is not a regular file');
    if (info.mode & 0o027) {
      const mode = (info.mode & 0o777).toString(8).padStart(4, '0');
      throw new Error('others can read or change the file ' +
        `(its mode is ${mode}): run chmod 600 on it, or 640 for a group of its own`);
    }
    if (info.size > maxFile) throw new Error(`it is larger than ${maxFile} bytes`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/**
 * Returns a time as a date, and undefined for Infinity, which means never.
 *
 * @param {number} ms
 */
function dateOf(ms) {
  return ms === Infinity ? undefined : new Date(ms);
}
