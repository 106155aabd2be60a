import { unusable } from './copy.js';
import { InvalidToken, Unavailable } from './errors.js';
import { TrackedList } from './track.js';

const maxLists = 256; // 32 MiB, for 268 million grants
const path = '/status-lists';

// What may follow the path in the URI of a list. It excludes everything that could be resolved to another path.
const belowPath = /^(\/[A-Za-z0-9_-]+)+$/;

/**
 * @typedef {object} ListsConfig
 * @property {import('./keys.js').KeySource} keys that lists are verified with
 * @property {string} issuer
 * @property {string} audience
 * @property {string} url below which lists are fetched
 * @property {import('../types/index.d.ts').Log} log
 * @property {() => number} now
 */

/**
 * Knows which tokens are revoked. It fetches a list when a token first refers to it, and again in the background as
 * the list's ttl and exp say. While the authorization server is down, a list is used until it or its key expires.
 */
export class StatusLists {
  #cfg;
  /** @type {Map<string, TrackedList>} by URI */
  #lists = new Map();
  #forgotten = 0; // failures of lists that are no longer tracked

  /** @param {ListsConfig} cfg */
  constructor(cfg) {
    this.#cfg = { ...cfg, url: (cfg.url || cfg.issuer + path).replace(/\/$/, '') };
  }

  /**
   * Reports whether a token is revoked. It throws InvalidToken if the token does not refer to a bit of the issuer's
   * lists, and Unavailable if no usable list is known now. Only if the list has never been fetched, it waits for the
   * first attempts, for up to 4 seconds.
   *
   * @param {{uri: string, index: number}} status
   * @returns {boolean | Promise<boolean>}
   */
  revoked({ uri, index }) {
    const list = this.#lists.get(uri) ?? this.#add(uri);
    const now = this.#cfg.now();
    list.used = now;
    return list.copy ? this.#bit(list, index, now) : list.tried.then(() => this.#bit(list, index, now));
  }

  /**
   * @param {TrackedList} list
   * @param {number} index
   * @param {number} now
   */
  #bit(list, index, now) {
    if (!list.copy) throw new Unavailable('its status list has not been fetched yet');
    const { ring } = this.#cfg.keys;
    const [latest, ...others] = list.copy.lists;
    switch (unusable(latest, ring, now)) {
      case 'expired':
        throw new Unavailable('its status list has expired and cannot be fetched');
      case 'key ended':
        list.fetchSoon();
        throw new Unavailable('the key of its status list has ended, and no list with another key was fetched yet');
    }
    const revoked = latest.list.revoked(index);
    if (revoked === undefined) throw new InvalidToken('its status list has no such index');
    return revoked || others.some((p) => p.list.revoked(index) && !unusable(p, ring, now));
  }

  /**
   * Starts to track a list.
   *
   * @param {string} uri
   */
  #add(uri) {
    const prefix = this.#cfg.issuer + path;
    const rest = uri.slice(prefix.length);
    if (!uri.startsWith(prefix) || !belowPath.test(rest)) {
      throw new InvalidToken("its status list is not one of the issuer's");
    }
    if (this.#lists.size >= maxLists) {
      throw new Unavailable(`its status list would exceed the ${maxLists} that are kept`);
    }
    const list = new TrackedList(this.#cfg, uri, this.#cfg.url + rest, () => this.#forget(uri, list));
    this.#lists.set(uri, list);
    return list;
  }

  /**
   * @param {string} uri
   * @param {TrackedList} list
   */
  #forget(uri, list) {
    this.#forgotten += list.failures;
    this.#lists.delete(uri);
  }

  /** Returns the figures for metrics. */
  stats() {
    const lists = [...this.#lists.values()];
    const now = this.#cfg.now();
    return {
      count: lists.length,
      oldest: Math.max(0, ...lists.map((list) => now - (list.copy?.confirmed ?? list.began))),
      failures: lists.reduce((sum, list) => sum + list.failures, this.#forgotten),
    };
  }

  close() {
    for (const list of this.#lists.values()) list.close();
  }
}
