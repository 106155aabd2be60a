import { compactVerify } from 'jose';
import { InvalidToken, Unavailable, messageOf } from './errors.js';
import { decodeBase64url, parseObject } from './json.js';
import { algorithms } from './ring.js';

/**
 * Verifies a JWS in compact serialization (RFC 7515 section 7.1), whose typ must be the media type typ. It throws
 * InvalidToken, or Unavailable if its key may be known soon.
 *
 * @param {import('./keys.js').KeySource} keys
 * @param {string} compact
 * @param {string} typ
 * @param {number} now
 */
export async function verifyJWS(keys, compact, typ, now) {
  const [header, payload] = split(compact);
  const key = await keyFor(keys, header, typ, now);
  try {
    await compactVerify(compact, key.verificationKey, { algorithms: [key.algorithm] });
  } catch {
    throw new InvalidToken('the signature is invalid');
  }
  return { payload, key };
}

/**
 * Returns the decoded parts of a JWS, which are not empty.
 *
 * @param {string} compact
 */
function split(compact) {
  const parts = compact.split('.', 4);
  try {
    if (parts.length === 3 && !parts.includes('')) return parts.map(decodeBase64url);
  } catch {
    // The reason is the same.
  }
  throw new InvalidToken('it is not three parts in base64url');
}

/**
 * Returns the key that a JOSE header names. Members such as jku, jwk and x5u are ignored (RFC 8725 section 3.10). If
 * the key is not known, it waits while keys are being fetched.
 *
 * @param {import('./keys.js').KeySource} keys
 * @param {Buffer} text
 * @param {string} typ
 * @param {number} now
 */
async function keyFor(keys, text, typ, now) {
  let header;
  try {
    header = parseObject(text);
  } catch (error) {
    throw new InvalidToken(`the header: ${messageOf(error)}`);
  }
  const { alg, kid } = header;
  if (mediaType(header.typ) !== typ) throw new InvalidToken(`typ is not ${typ}`); // RFC 8725 section 3.11
  if ('crit' in header) throw new InvalidToken('crit names an extension, and none is supported');
  if (typeof alg !== 'string' || !algorithms.includes(alg)) throw new InvalidToken('alg is not supported');
  const find = () => (typeof kid === 'string' ? keys.ring.verifier(kid, now) : undefined);
  let key = find();
  // Twice, because a first fetch may have begun before the key was published.
  for (let i = 0; i < 2 && !key && keys.pending(); i++) {
    await keys.settled();
    key = find();
  }
  if (!key) {
    if (keys.pending()) throw new Unavailable('kid names no key that is known here yet');
    throw new InvalidToken('kid names no key that verifies now');
  }
  if (alg !== key.algorithm) throw new InvalidToken('alg is not the algorithm of the key'); // RFC 8725 section 3.1
  return key;
}

/** @param {unknown} typ */
function mediaType(typ) {
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : '';
}
