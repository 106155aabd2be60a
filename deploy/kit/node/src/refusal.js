import { STATUS_CODES } from 'node:http';

/** @typedef {import('../types/index.d.ts').Refusal} Refusal */
/** @typedef {import('../types/index.d.ts').Login} Login */

/**
 * What a client sees of a refusal. It does not say why a token is invalid.
 *
 * @type {Record<string, {status: 400 | 401 | 403 | 503, code: string, detail: string}>}
 */
export const reasons = {
  notAuthenticated: { status: 401, code: '', detail: 'Not authenticated' },
  invalidToken: { status: 401, code: 'invalid_token', detail: 'Could not validate credentials' },
  twoTokens: {
    status: 400, code: 'invalid_request',
    detail: 'The access token must be sent once, in one Authorization header',
  },
  scope: { status: 403, code: 'insufficient_scope', detail: 'The access token lacks a scope that this needs' },
  login: {
    status: 401, code: 'insufficient_user_authentication',
    detail: 'The user must log in again, with more factors or more recently',
  },
  unavailable: { status: 503, code: '', detail: 'The access token cannot be checked right now' },
};

/**
 * Returns the response to a request that is not let through: a challenge (RFC 6750 section 3), except for 503, and a
 * problem document (RFC 9457).
 *
 * @param {{status: 400 | 401 | 403 | 503, code: string, detail: string}} reason
 * @param {{audience: string, metadata: string, scopes: string[], login?: Login}} api scopes are those that the request
 *   needs, and login is what the user must do again (RFC 9470 section 3)
 * @returns {Refusal}
 */
export function refuse({ status, code, detail }, { audience, metadata, scopes, login }) {
  /** @type {Record<string, string>} */
  const headers = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' };
  if (status === 503) {
    headers['Retry-After'] = '1'; // no challenge: the client must keep its token
  } else {
    headers['WWW-Authenticate'] = challenge([
      ['realm', audience],
      ['error', code],
      ['error_description', code && detail],
      ['scope', status === 401 || status === 403 ? scopes.join(' ') : ''],
      ['acr_values', login?.acrValues?.join(' ') ?? ''],
      ['max_age', String(login?.maxAge ?? '')],
      ['resource_metadata', metadata],
    ]);
  }
  return { status, code, detail, headers, body: JSON.stringify({ title: STATUS_CODES[status], status, detail }) };
}

/** @param {[string, string][]} attributes */
function challenge(attributes) {
  const texts = attributes.filter(([, value]) => value).map(([name, value]) => `${name}="${quotable(value)}"`);
  return `Bearer ${texts.join(', ')}`.trimEnd();
}

/**
 * Replaces the characters that RFC 6750 section 3 does not allow in an attribute.
 *
 * @param {string} value
 */
function quotable(value) {
  return value.replace(/"/g, "'").replace(/[^ -~]|\\/gu, '?');
}
