import { createHash } from 'node:crypto';

/**
 * @template V
 * @typedef {{signed: string, value: V}} Entry
 */

/**
 * Verified tokens in two generations: when the young one is full it becomes the old one, and the old one is dropped.
 * A hit in the old generation moves the token to the young one, so tokens in use stay.
 *
 * A token is found by the digest of its signature and compared by its signed part, so that a memory dump has no
 * usable token.
 *
 * @template V
 */
export class TokenCache {
  #half;
  /** @type {Map<string, Entry<V>>} */
  #young = new Map();
  /** @type {Map<string, Entry<V>>} */
  #old = new Map();

  /** @param {number} size how many tokens are kept */
  constructor(size) {
    this.#half = Math.ceil(size / 2);
  }

  /**
   * @param {string} token
   * @returns {V | undefined}
   */
  get(token) {
    const [signed, digest] = keyOf(token);
    const young = this.#young.get(digest);
    const entry = young ?? this.#old.get(digest);
    if (entry?.signed !== signed) return undefined;
    if (!young) this.#add(digest, entry);
    return entry.value;
  }

  /**
   * @param {string} token
   * @param {V} value
   */
  put(token, value) {
    const [signed, digest] = keyOf(token);
    this.#add(digest, { signed, value });
  }

  /**
   * @param {string} digest
   * @param {Entry<V>} entry
   */
  #add(digest, entry) {
    if (!this.#young.has(digest) && this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(digest, entry);
  }

  get size() {
    return this.#young.size + this.#old.size;
  }
}

/** @param {string} token */
function keyOf(token) {
  const dot = Math.max(token.lastIndexOf('.'), 0);
  return [token.slice(0, dot), createHash('sha256').update(token.slice(dot)).digest('base64')];
}
