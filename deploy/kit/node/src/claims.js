import { InvalidToken } from './errors.js';
import { object } from './json.js';

/** @typedef {import('../types/index.d.ts').Claims} Claims */
/** @typedef {Record<string, unknown>} Members */

const userPrefix = 'usr_'; // begins the sub of every user, and no id of a client
const maxScope = 1024; // bytes
const maxSeconds = 253402300799; // the end of the year 9999

/**
 * Returns the claims of an access token (RFC 9068 section 2.2). A claim that is missing or has the wrong type is an
 * InvalidToken.
 *
 * @param {Members} members
 * @returns {Claims}
 */
export function claimsFrom(members) {
  const claims = {
    issuer: text(members, 'iss'),
    subject: text(members, 'sub'),
    audience: audience(members),
    clientId: text(members, 'client_id'),
    id: text(members, 'jti'),
    issuedAt: time(members, 'iat'),
    notBefore: time(members, 'nbf'),
    expiresAt: time(members, 'exp'),
    scope: scopeTokens(text(members, 'scope')),
    username: text(members, 'preferred_username'),
    name: text(members, 'name'),
    groups: texts(members, 'groups'),
    actors: actors(members.act),
    acr: text(members, 'acr'),
    methods: texts(members, 'amr'),
    authTime: time(members, 'auth_time'),
    status: status(members.status),
  };
  checkPresent(claims);
  // RFC 7800 section 3.1: a thief may send it as a bearer token. This kit verifies no proofs of possession.
  if (members.cnf !== undefined && members.cnf !== null) throw new InvalidToken('it is bound to a key (cnf)');
  const { audience: apis, scope, groups, actors: acting, methods, status: bit = {} } = claims;
  for (const list of [apis, scope, groups, acting, methods, bit]) {
    Object.freeze(list); // claims are shared between requests
  }
  return /** @type {Claims} */ (Object.freeze({ ...claims, isUser: claims.subject.startsWith(userPrefix) }));
}

/** @param {Record<string, unknown>} claims */
function checkPresent(claims) {
  const required = {
    iss: claims.issuer, sub: claims.subject, client_id: claims.clientId, jti: claims.id,
    iat: claims.issuedAt, exp: claims.expiresAt,
  };
  for (const [name, value] of Object.entries(required)) {
    if (value === '' || value === undefined) throw new InvalidToken(`the claim ${name} is missing`);
  }
  if (/** @type {string[]} */ (claims.audience).length === 0) throw new InvalidToken('the claim aud is missing');
}

/** @returns {never} */
function wrongType() {
  throw new InvalidToken('its claims: a member has the wrong type');
}

/**
 * Returns a claim that is a string, and '' if it is absent.
 *
 * @param {Members} members
 * @param {string} name
 */
function text(members, name) {
  const value = members[name] ?? '';
  return typeof value === 'string' ? value : wrongType();
}

/**
 * @param {Members} members
 * @param {string} name
 * @returns {string[]}
 */
function texts(members, name) {
  const value = members[name] ?? [];
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : wrongType();
}

/** @param {Members} members */
function audience(members) {
  return typeof members.aud === 'string' ? [members.aud] : texts(members, 'aud');
}

/**
 * Returns a time in seconds since 1970 as a date. A fraction is dropped.
 *
 * @param {Members} members
 * @param {string} name
 */
function time(members, name) {
  const seconds = members[name];
  if (seconds === undefined || seconds === null) return undefined;
  if (typeof seconds !== 'number') return wrongType();
  if (seconds < 0 || seconds > maxSeconds) {
    throw new InvalidToken('exp, nbf, iat or auth_time is not a time between 1970 and 9999');
  }
  return new Date(1000 * Math.trunc(seconds));
}

/**
 * Returns the tokens of a scope (RFC 6749 section 3.3).
 *
 * @param {string} scope
 */
function scopeTokens(scope) {
  if (Buffer.byteLength(scope) > maxScope) throw new InvalidToken(`scope is longer than ${maxScope} bytes`);
  if (!/^[ !#-[\]-~]*$/.test(scope)) {
    throw new InvalidToken('scope has a character that RFC 6749 section 3.3 does not allow');
  }
  return [...new Set(scope.split(' ').filter((token) => token !== ''))];
}

/**
 * Returns the clients that act for the user, the latest first (RFC 8693 section 4.1).
 *
 * @param {unknown} act
 */
function actors(act) {
  const found = [];
  while (act !== undefined && act !== null) {
    const actor = memberObject(act);
    const subject = text(actor, 'sub');
    if (subject === '') throw new InvalidToken('its act has no sub');
    found.push(subject);
    act = actor.act;
  }
  return found;
}

/**
 * Returns the reference to a status list (draft-ietf-oauth-status-list section 6.2).
 *
 * @param {unknown} claim
 */
function status(claim) {
  if (claim === undefined || claim === null) return undefined;
  const list = memberObject(claim).status_list;
  if (list === undefined || list === null) return undefined;
  const { idx, uri } = memberObject(list);
  if (idx === undefined || idx === null || uri === undefined || uri === null) {
    throw new InvalidToken('its status_list has no idx or no uri');
  }
  return Number.isSafeInteger(idx) && typeof uri === 'string' ? { index: Number(idx), uri } : wrongType();
}

/** @param {unknown} value */
function memberObject(value) {
  try {
    return object(value);
  } catch {
    return wrongType();
  }
}
