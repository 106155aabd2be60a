import { inflateSync } from 'node:zlib';
import { messageOf } from './errors.js';
import { decodeBase64url, object, parseObject } from './json.js';
import { verifyJWS } from './jws.js';
import { leeway } from './verifier.js';

const maxSize = 1 << 20; // bits of the longest list: 128 KiB
const maxTTL = 86_400; // seconds

/** A list of bits, one for each grant (draft-ietf-oauth-status-list section 4.1). */
export class List {
  /** @param {Uint8Array} bytes index 0 is the least significant bit of the first byte */
  constructor(bytes) {
    this.bytes = bytes;
  }

  get size() {
    return 8 * this.bytes.length;
  }

  /**
   * Returns the bit at index, and undefined for an index outside the list.
   *
   * @param {number} index
   * @returns {boolean | undefined}
   */
  revoked(index) {
    if (index < 0 || index >= this.size) return undefined;
    return ((this.bytes[Math.floor(index / 8)] >> (index % 8)) & 1) === 1;
  }

  /**
   * Reports whether every bit that is set is also set in one of the others.
   *
   * @param {List[]} others
   */
  subsetOf(others) {
    return this.bytes.every((byte, i) => (byte & ~others.reduce((set, o) => set | (o.bytes[i] ?? 0), 0)) === 0);
  }
}

/**
 * Returns the list of a member lst: bits, compressed with ZLIB, in base64url. It decompresses no more than maxSize.
 *
 * @param {unknown} text
 */
export function decodeList(text) {
  if (typeof text !== 'string') throw new Error('its lst is not a text');
  const compressed = decodeBase64url(text);
  const options = { maxOutputLength: maxSize / 8, info: true };
  const { buffer, engine } = /** @type {{buffer: Buffer, engine: {bytesWritten: number}}} */ (
    /** @type {unknown} */ (inflateSync(compressed, options)));
  if (engine.bytesWritten !== compressed.length) throw new Error('data follows its list');
  return new List(buffer);
}

/**
 * A list as one server has signed it. Times are in milliseconds since 1970.
 *
 * @typedef {object} Published
 * @property {List} list
 * @property {import('./ring.js').Key} key
 * @property {string} etag
 * @property {number} issued orders published lists; not in the future
 * @property {number} expiresAt
 * @property {number} ttl how old a copy may become before it is fetched again, in milliseconds; 0 if not given
 */

/**
 * Verifies a signed list (draft-ietf-oauth-status-list section 5.1). It throws if it is not the expected one.
 *
 * @param {string} raw
 * @param {{uri: string, audience: string, keys: import('./keys.js').KeySource, now: number, etag: string}} want
 * @returns {Promise<Published>}
 */
export async function verifyList(raw, { uri, audience, keys, now, etag }) {
  const { payload, key } = await verifyJWS(keys, raw, 'statuslist+jwt', now);
  if (key.audience && key.audience !== audience) throw new Error('its key is for another API');
  const claims = parseObject(payload);
  if (claims.sub !== uri) throw new Error('it is another list');
  const issuedAt = 1000 * seconds(claims, 'iat');
  const expiresAt = 1000 * seconds(claims, 'exp');
  if (now >= expiresAt + leeway) throw new Error('it has expired');
  if ('nbf' in claims && now < 1000 * seconds(claims, 'nbf') - leeway) throw new Error('it is not valid yet');
  const { bits, lst } = object(claims.status_list);
  if (bits !== 1) throw new Error('its bits is not 1');
  const ttl = 'ttl' in claims ? Math.min(seconds(claims, 'ttl'), maxTTL) : 0;
  if ('ttl' in claims && ttl <= 0) throw new Error('its ttl is not positive');
  // If the server's clock is ahead, later lists of other servers must not look old.
  const ahead = Math.max(issuedAt - (now + leeway), 0);
  return {
    list: decode(lst), key, etag, ttl: 1000 * ttl,
    issued: issuedAt - ahead, expiresAt: expiresAt - ahead,
  };
}

/**
 * @param {Record<string, unknown>} claims
 * @param {string} name
 */
function seconds(claims, name) {
  const value = claims[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`its ${name} is missing or not a number`);
  return value;
}

/** @param {unknown} lst */
function decode(lst) {
  try {
    return decodeList(lst);
  } catch (error) {
    throw new Error(`it has no list: ${messageOf(error)}`);
  }
}
