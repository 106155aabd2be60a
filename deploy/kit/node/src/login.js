import { ConfigError } from './errors.js';
import { leeway } from './verifier.js';

/** @typedef {import('../types/index.d.ts').Login} Login */
/** @typedef {import('../types/index.d.ts').Claims} Claims */

/**
 * Returns the login that a route needs. It throws a ConfigError if that makes no sense, when the route is defined.
 *
 * @param {Login} login
 * @returns {Login}
 */
export function checkLogin({ acrValues = [], maxAge }) {
  const isClass = (/** @type {unknown} */ value) => typeof value === 'string' && /^[!#-[\]-~]+$/.test(value);
  if (!Array.isArray(acrValues) || !acrValues.every(isClass)) {
    throw new ConfigError('acrValues', "it must be a list of texts without spaces and quotes, such as ['2']");
  }
  if (maxAge !== undefined && !(Number.isSafeInteger(maxAge) && maxAge > 0)) {
    throw new ConfigError('maxAge', 'it must be a whole number of seconds, 1 or more');
  }
  return { acrValues: [...acrValues], maxAge };
}

/**
 * Reports whether the login of a token is good enough now. A login in the future, beyond the difference between
 * clocks, counts as too old: nobody knows when it was.
 *
 * @param {Claims} claims
 * @param {Login} login
 * @param {number} now
 */
export function isGoodEnough({ acr, authTime }, { acrValues = [], maxAge }, now) {
  if (acrValues.length > 0 && !acrValues.includes(acr)) return false;
  if (maxAge === undefined) return true;
  const age = now - (authTime?.getTime() ?? -Infinity);
  return age <= 1000 * maxAge && age >= -leeway;
}
