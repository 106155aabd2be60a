import { messageOf } from './errors.js';
import { Requests } from './http.js';
import { Pause, sleep } from './pause.js';
import { merge, minInterval, pauseOf, unusable } from './copy.js';
import { verifyList } from './statuslist.js';

// In milliseconds.
const fetchSilence = 5_000; // how long a server may send nothing
const fetchTimeout = 30_000; // of a whole fetch: a long list on a slow link
const firstTime = 2_000; // how long a list that was never fetched is tried without a pause
const firstWait = 4_000; // how long the first requests for a list wait
const retry = 500; // after a failure
const olderTimeout = 120_000; // how long responses older than the copy do not count as failures
const idleTime = 3_600_000; // how long a list is kept after its last use

// Bytes of the signed form: twice the size of the longest list of random bits.
const maxResponse = 512 << 10;

/** A list that is fetched periodically, until it is closed or has not been used for an hour. */
export class TrackedList {
  /** @type {import('./copy.js').Copy | undefined} */
  copy;
  /** When the list was first used. */
  began;
  /** When the list was last used. */
  used;
  failures = 0;
  /** Resolves when there is a copy, the first attempts have failed or take too long. @type {Promise<void>} */
  tried;
  #cfg;
  #uri;
  #address;
  #pause = new Pause();
  #requests = new Requests();
  #state = 'fresh';

  /**
   * @param {import('./lists.js').ListsConfig} cfg
   * @param {string} uri
   * @param {string} address where the list is fetched from
   * @param {() => void} forget is called when the list is no longer tracked
   */
  constructor(cfg, uri, address, forget) {
    this.#cfg = cfg;
    this.#uri = uri;
    this.#address = address;
    this.began = this.used = cfg.now();
    const first = this.#fetchFirst();
    this.tried = Promise.race([first.then(() => {}), sleep(firstWait, true)]);
    void first.then((error) => this.#track(error)).then(forget);
  }

  close() {
    this.#requests.close();
    this.#pause.wake();
  }

  /** Ends the pause before the next fetch. */
  fetchSoon() {
    this.#pause.wake();
  }

  get #stopped() {
    return this.#requests.closed;
  }

  /**
   * Tries to fetch the list without a pause for a while, as the first requests wait for it.
   *
   * @returns {Promise<unknown>} the error of the last attempt
   */
  async #fetchFirst() {
    let error;
    for (const began = performance.now(); !this.#stopped && performance.now() - began < firstTime;) {
      error = await this.#fetch();
      if (!error) break;
      await sleep(minInterval, true);
    }
    return error;
  }

  /** @param {unknown} error of the last attempt */
  async #track(error) {
    while (!this.#stopped) {
      const now = this.#cfg.now();
      if (now - this.used > idleTime && (!error || !this.#usable(now))) return;
      this.#report(error, now);
      if (error || !this.copy) {
        await sleep(retry, false); // not shortened by requests
      } else {
        await this.#pause.sleep(pauseOf(this.copy, now));
      }
      if (!this.#stopped) error = await this.#fetch();
    }
  }

  /** @param {number} now */
  #usable(now) {
    return this.copy !== undefined && !unusable(this.copy.lists[0], this.#cfg.keys.ring, now);
  }

  /**
   * Logs a change of state.
   *
   * @param {unknown} error
   * @param {number} now
   */
  #report(error, now) {
    const state = !error ? 'fresh' : this.#usable(now) ? 'stale' : 'absent';
    if (state === this.#state) return;
    this.#state = state;
    const fields = { uri: this.#uri, from: this.#address, error: messageOf(error) };
    switch (state) {
      case 'absent':
        return this.#cfg.log('error', 'status list not fetched: tokens that refer to it get a 503', fields);
      case 'stale':
        return this.#cfg.log('warn',
          'status list not fetched: the previous copy stays in use, and new revocations are unknown', fields);
    }
    this.#cfg.log('info', 'status list fetched again', { uri: this.#uri });
  }

  /**
   * Replaces the copy with the published list.
   *
   * @returns {Promise<unknown>} the error, or undefined
   */
  async #fetch() {
    try {
      await this.#tryFetch();
    } catch (error) {
      if (!this.#stopped) this.failures++;
      return error;
    }
  }

  async #tryFetch() {
    const before = this.copy;
    const etag = before && this.#usable(this.#cfg.now()) ? before.lists[0].etag : '';
    const response = await this.#requests.get(this.#address, {
      headers: { accept: 'application/statuslist+jwt', ...(etag && { 'if-none-match': etag }) },
      silence: fetchSilence,
      timeout: fetchTimeout,
      limit: maxResponse,
    });
    if (response.unchanged && before && etag) {
      const now = this.#cfg.now();
      // A 304 is not signed, so it does not help a list that has expired meanwhile.
      if (!this.#usable(now)) throw new Error('the list has expired');
      this.copy = { lists: before.lists, confirmed: now };
      return;
    }
    await this.#read(response.body, response.etag, before);
  }

  /**
   * Verifies the list in a response and merges it into the previous copy.
   *
   * @param {Buffer} body
   * @param {string} etag
   * @param {import('./copy.js').Copy | undefined} before
   */
  async #read(body, etag, before) {
    const { audience, keys, now: clock } = this.#cfg;
    const now = clock();
    const next = await verifyList(body.toString('latin1'), { uri: this.#uri, audience, keys, now, etag });
    const merged = merge(before, next, keys.ring, now);
    if (merged) {
      this.copy = merged;
    } else if (!before || now - before.confirmed >= olderTimeout) {
      throw new Error('the response was issued before the current copy: ' +
        "a cache or an attacker replays it, or the servers' clocks differ");
    }
  }
}
