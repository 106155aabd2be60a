import { createHmac } from 'node:crypto';
import { importJWK } from 'jose';
import { decodeBase64url, object, parseObject } from './json.js';

/** The supported algorithms (RFC 7518 section 3, RFC 8037 section 3.1). */
export const algorithms = ['HS256', 'EdDSA', 'ES256', 'RS256'];

const minSecret = 32; // bytes: the size of the hash of HS256 (RFC 7518 section 3.2)
const minRSA = 2048; // bits (RFC 7518 section 3.3)
const maxKeyID = 128; // bytes
const maxSeconds = 253402300799; // the end of the year 9999
const idTokenAudience = 'urn:hallpass:id-token:';

/** One key of a ring. Its material is private, so that printing a key does not reveal it. */
export class Key {
  #material;

  /**
   * @param {{id: string, algorithm: string, audience: string, signsFrom: number, verifiesUntil: number,
   *   hasPrivate: boolean, verificationKey: CryptoKey, material: string}} fields
   */
  constructor(fields) {
    this.id = fields.id;
    /** The only algorithm that the key is used with (RFC 8725 section 3.1). */
    this.algorithm = fields.algorithm;
    /** The API whose tokens the key is bound to; empty means any. */
    this.audience = fields.audience;
    /** When the key starts to sign, in milliseconds since 1970; 0 means always. */
    this.signsFrom = fields.signsFrom;
    /** When the key stops verifying, in milliseconds since 1970; Infinity means never. */
    this.verifiesUntil = fields.verifiesUntil;
    /** Whether the set has the private half, or a shared secret. */
    this.hasPrivate = fields.hasPrivate;
    this.verificationKey = fields.verificationKey;
    this.#material = fields.material;
  }

  get isForIDTokens() {
    return this.audience.startsWith(idTokenAudience);
  }

  /**
   * Reports whether both keys verify the same signatures.
   *
   * @param {Key} other
   */
  equals(other) {
    return this.algorithm === other.algorithm && this.audience === other.audience && this.#material === other.#material;
  }
}

/** A set of keys with their schedule. It does not change. */
export class Ring {
  #byID = new Map();

  /** @param {Key[]} keys */
  constructor(keys) {
    this.keys = keys;
    for (const [i, key] of keys.entries()) {
      if (this.#byID.has(key.id)) throw new Error(`key ${i + 1} of ${keys.length}: another key has the same kid`);
      this.#byID.set(key.id, key);
    }
  }

  /**
   * Returns the key with the id if it verifies at now.
   *
   * @param {string} id
   * @param {number} now
   * @returns {Key | undefined}
   */
  verifier(id, now) {
    const key = this.#byID.get(id);
    return key && now < key.verifiesUntil ? key : undefined;
  }

  /**
   * Reports whether key is a key of this ring, not of an equal one, and verifies at now.
   *
   * @param {Key} key
   * @param {number} now
   */
  verifies(key, now) {
    return this.#byID.get(key.id) === key && now < key.verifiesUntil;
  }

  /** Returns when the last key for access tokens stops verifying: Infinity for never, or if there is no key. */
  end() {
    const ends = this.keys.filter((key) => !key.isForIDTokens).map((key) => key.verifiesUntil);
    return ends.length ? Math.max(...ends) : Infinity;
  }

  /**
   * Reports whether both rings have the same keys with the same schedule.
   *
   * @param {Ring} other
   */
  equals(other) {
    return this.keys.length === other.keys.length && this.keys.every((key, i) => sameKey(key, other.keys[i]));
  }
}

/**
 * @param {Key} a
 * @param {Key} b
 */
function sameKey(a, b) {
  return a.id === b.id && a.signsFrom === b.signsFrom && a.verifiesUntil === b.verifiesUntil && a.equals(b);
}

/**
 * Returns the ring of a JWK Set. Each key must have a unique kid and be a shared secret of 32 bytes or more or an
 * Ed25519, P-256 or RSA key. The error says which key is wrong, and never quotes it.
 *
 * @param {Uint8Array} bytes
 */
export async function parseRing(bytes) {
  const jwks = keysOf(bytes);
  const keys = [];
  for (const [i, jwk] of jwks.entries()) {
    try {
      keys.push(await parseKey(object(jwk)));
    } catch (error) {
      throw new Error(`key ${i + 1} of ${jwks.length}: ${reasonOf(error)}`);
    }
  }
  return new Ring(keys);
}

/**
 * Returns the ring of a JWK Set that somebody else publishes, and why each other key of it is ignored. A set may have
 * keys for encryption, and of types or algorithms that are not supported (RFC 7517 section 5). Weak and malformed keys
 * are ignored too: while a whole set is refused, the previous keys stay in use, and with them a key that was withdrawn.
 * A secret or a private key is an error: it is no longer secret. So is a kid that two of the keys in use have.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<{ring: Ring, ignored: string[]}>}
 */
export async function parsePublishedRing(bytes) {
  const jwks = keysOf(bytes);
  const keys = [];
  const ignored = [];
  for (const [i, jwk] of jwks.entries()) {
    if (holdsSecret(jwk)) throw new Error(`key ${i + 1} of ${jwks.length}: it is not a public key`);
    try {
      keys.push(await parseKey(object(jwk)));
    } catch (error) {
      ignored.push(`key ${i + 1} of ${jwks.length}: ${reasonOf(error)}`);
    }
  }
  return { ring: new Ring(keys), ignored };
}

/**
 * Returns the unparsed keys of a JWK Set.
 *
 * @param {Uint8Array} bytes
 * @returns {unknown[]}
 */
function keysOf(bytes) {
  const set = parseObject(bytes);
  const jwks = set.keys ?? [];
  if (!Array.isArray(jwks) || Object.keys(set).some((name) => name !== 'keys' && name.toLowerCase() === 'keys')) {
    throw new Error('it is not JSON of the form {"keys": [...]}');
  }
  if (jwks.length === 0) throw new Error('it holds no keys');
  return jwks;
}

/** @param {unknown} error of parseKey */
function reasonOf(error) {
  return error instanceof Error ? error.message : 'it is not a JWK';
}

/** The members of secrets and private keys (RFC 7518 section 6, RFC 9964 section 3). */
const privateMembers = ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'];

/**
 * Reports whether an element of a JWK Set is a shared secret or has a private part, also if its type is not supported.
 *
 * @param {any} jwk
 */
function holdsSecret(jwk) {
  return jwk?.kty === 'oct' || privateMembers.some((name) => (jwk?.[name] ?? null) !== null);
}

/**
 * Returns a ring of one shared secret, whose kid is derived from it.
 *
 * @param {string} secret
 */
export async function ringOfSecret(secret) {
  const bytes = Buffer.from(secret);
  if (bytes.length < minSecret) {
    throw new Error(`it has ${bytes.length} bytes, HS256 needs ${minSecret} or more: ` +
      "make one with 'openssl rand -hex 32'");
  }
  const id = createHmac('sha256', bytes).update('hallpass key id').digest().subarray(0, 12).toString('base64url');
  return new Ring([await parseKey({ kty: 'oct', kid: id, k: bytes.toString('base64url') })]);
}

/** @param {Record<string, unknown>} jwk */
async function parseKey(jwk) {
  const { algorithm, members } = materialOf(jwk);
  for (const [name, wanted] of [['alg', algorithm], ['use', 'sig']]) {
    if ((text(jwk, name) || wanted) !== wanted) throw new Error(`its ${name} is not ${wanted}`);
  }
  const id = text(jwk, 'kid');
  if (id === '' || Buffer.byteLength(id) > maxKeyID) {
    throw new Error(`it has no kid, or one of more than ${maxKeyID} bytes`);
  }
  return new Key({
    id,
    algorithm,
    audience: text(jwk, 'aud'),
    signsFrom: time(jwk, 'nbf') ?? 0,
    verifiesUntil: time(jwk, 'exp') ?? Infinity,
    hasPrivate: algorithm === 'HS256' || jwk.d !== undefined,
    verificationKey: await importKey(algorithm, members),
    material: JSON.stringify(members),
  });
}

/**
 * Returns the members of a JWK that verify signatures, and the algorithm that goes with its type.
 *
 * @param {Record<string, unknown>} jwk
 * @returns {{algorithm: string, members: Record<string, string>}}
 */
function materialOf(jwk) {
  const kty = text(jwk, 'kty');
  const crv = text(jwk, 'crv');
  const only = (/** @type {string[]} */ ...names) =>
    Object.fromEntries(['kty', ...names].map((name) => [name, text(jwk, name)]));
  switch (kty) {
    case 'oct':
      if (decodeBase64url(text(jwk, 'k')).length < minSecret) {
        throw new Error(`it is a secret of fewer than ${minSecret} bytes`);
      }
      return { algorithm: 'HS256', members: only('k') };
    case 'OKP':
      if (crv !== 'Ed25519') throw new Error('its curve is not Ed25519');
      return { algorithm: 'EdDSA', members: only('crv', 'x') };
    case 'EC':
      if (crv !== 'P-256') throw new Error('its curve is not P-256');
      return { algorithm: 'ES256', members: only('crv', 'x', 'y') };
    case 'RSA':
      if (bitLength(decodeBase64url(text(jwk, 'n'))) < minRSA) {
        throw new Error(`it is an RSA key of fewer than ${minRSA} bits`);
      }
      return { algorithm: 'RS256', members: only('n', 'e') };
  }
  throw new Error('its type is not supported');
}

/** @param {Buffer} bytes of an unsigned number, the most significant one first */
function bitLength(bytes) {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : 8 * (bytes.length - first) - (Math.clz32(bytes[first]) - 24);
}

/**
 * @param {string} algorithm
 * @param {Record<string, string>} members
 * @returns {Promise<CryptoKey>}
 */
async function importKey(algorithm, members) {
  try {
    if (algorithm === 'HS256') {
      const hmac = { name: 'HMAC', hash: 'SHA-256' };
      return await crypto.subtle.importKey('raw', decodeBase64url(members.k), hmac, false, ['verify']);
    }
    return /** @type {CryptoKey} */ (await importJWK(members, algorithm));
  } catch { // its text may quote the key
    throw new Error('it is not a valid key');
  }
}

/**
 * @param {Record<string, unknown>} jwk
 * @param {string} name
 */
function text(jwk, name) {
  const value = jwk[name] ?? '';
  if (typeof value !== 'string') throw new Error('one of its members has the wrong type');
  return value;
}

/**
 * @param {Record<string, unknown>} jwk
 * @param {string} name of a time in seconds since 1970
 * @returns {number | undefined} in milliseconds
 */
function time(jwk, name) {
  const seconds = jwk[name];
  if (seconds === undefined || seconds === null) return undefined;
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds <= 0 || seconds > maxSeconds) {
    throw new Error('its nbf or exp is not in seconds since 1970');
  }
  return 1000 * seconds;
}
