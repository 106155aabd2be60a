/**
 * What a request says about its sender.
 *
 * @typedef {import('../types/index.d.ts').Credentials} Credentials
 */

/**
 * Returns the credentials of a request of node:http. Its headers object has only the first Authorization header, so
 * this reads the raw ones.
 *
 * @param {import('node:http').IncomingMessage} request
 * @param {string} url of the request, as it was received
 * @returns {Credentials}
 */
export function fromNode({ rawHeaders }, url) {
  const authorization = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i].length === 13 && rawHeaders[i].toLowerCase() === 'authorization') {
      authorization.push(rawHeaders[i + 1]);
    }
  }
  return { authorization, url };
}

/**
 * Returns the credentials of a request of the Fetch API, which joins headers of the same name.
 *
 * @param {Request} request
 * @returns {Credentials}
 */
export function fromFetch({ headers, url }) {
  const authorization = headers.get('authorization');
  return { authorization: authorization === null ? [] : [authorization], url };
}

/**
 * Returns the token of the Authorization header (RFC 6750 section 2.1), or the name of the reason for a refusal. A
 * token in the query is never used. In addition to the header it is an error: section 2 forbids sending a token in
 * more than one way.
 *
 * @param {Credentials} credentials
 * @returns {{token: string} | {reason: 'twoTokens' | 'notAuthenticated'}}
 */
export function tokenOf({ authorization, url }) {
  if (authorization.length > 1) return { reason: 'twoTokens' };
  const [, scheme, token] = /^([^ ]*) *(.*)$/s.exec(authorization[0] ?? '') ?? [];
  if (scheme?.toLowerCase() !== 'bearer') return { reason: 'notAuthenticated' };
  const query = url.indexOf('?');
  if (query >= 0 && new URLSearchParams(url.slice(query)).has('access_token')) return { reason: 'twoTokens' };
  return { token };
}
