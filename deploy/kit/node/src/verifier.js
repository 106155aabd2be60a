import { TokenCache } from './cache.js';
import { claimsFrom } from './claims.js';
import { InvalidToken, messageOf } from './errors.js';
import { parseObject } from './json.js';
import { verifyJWS } from './jws.js';

/** @typedef {import('../types/index.d.ts').Claims} Claims */

const maxLength = 8 << 10; // bytes
const cacheSize = 8 << 10; // tokens: about 15 MB for tokens of 500 bytes

/** The difference between the clocks of issuer and verifier that is tolerated, in milliseconds. */
export const leeway = 5_000;

/**
 * How far in the future iat may be, in milliseconds. If the issuer's clock was ahead, the token stays valid for that
 * much longer than intended. Smaller differences are accepted: iat is not a start time (RFC 7519 section 4.1.6).
 */
const maxAhead = 3_600_000;

/** Verifies access tokens (RFC 9068). */
export class Verifier {
  #cfg;
  /** @type {TokenCache<{claims: Claims, key: import('./ring.js').Key}>} */
  #cache = new TokenCache(cacheSize);

  /**
   * @param {{keys: import('./keys.js').KeySource, lists: import('./lists.js').StatusLists, issuer: string,
   *   audience: string, requireStatus: boolean, now: () => number}} cfg
   */
  constructor(cfg) {
    this.#cfg = cfg;
  }

  /**
   * Returns the claims of a valid token. It throws InvalidToken, or Unavailable if a later try may succeed.
   *
   * @param {string} raw
   * @returns {Promise<Claims>}
   */
  async verify(raw) {
    const now = this.#cfg.now();
    let found = this.#cache.get(raw);
    if (!found || !this.#cfg.keys.ring.verifies(found.key, now)) {
      found = await this.#verify(raw, now);
      this.#cache.put(raw, found);
    }
    const { claims } = found;
    if (now >= claims.expiresAt.getTime() + leeway) throw new InvalidToken('it has expired');
    if (claims.status && (await this.#cfg.lists.revoked(claims.status))) {
      throw new InvalidToken('it has been revoked');
    }
    return claims;
  }

  /**
   * Checks what cannot change: syntax, header, signature and claims.
   *
   * @param {string} raw
   * @param {number} now
   */
  async #verify(raw, now) {
    if (raw.length > maxLength) throw new InvalidToken(`it is longer than ${maxLength} bytes`);
    const { payload, key } = await verifyJWS(this.#cfg.keys, raw, 'at+jwt', now);
    let members;
    try {
      members = parseObject(payload);
    } catch (error) {
      throw new InvalidToken(`its claims: ${messageOf(error)}`);
    }
    const claims = claimsFrom(members);
    this.#check(claims, now);
    if (key.audience && !(claims.audience.length === 1 && claims.audience[0] === key.audience)) {
      throw new InvalidToken('its key is for another API');
    }
    return { claims, key };
  }

  /**
   * @param {Claims} claims
   * @param {number} now
   */
  #check(claims, now) {
    const { issuer, audience, requireStatus } = this.#cfg;
    if (claims.issuer !== issuer) throw new InvalidToken('iss is another authorization server');
    if (!claims.audience.includes(audience)) throw new InvalidToken('aud is another API');
    if (now >= claims.expiresAt.getTime() + leeway) throw new InvalidToken('it has expired');
    if (claims.notBefore && now < claims.notBefore.getTime() - leeway) throw new InvalidToken('it is not valid yet');
    if (claims.issuedAt.getTime() > now + maxAhead) {
      throw new InvalidToken('its iat is more than an hour ahead: a clock is wrong');
    }
    if (requireStatus && !claims.status) {
      throw new InvalidToken('it refers to no status list, so it cannot be revoked');
    }
  }
}
