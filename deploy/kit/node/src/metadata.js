import { STATUS_CODES } from 'node:http';

const wellKnown = '/.well-known/oauth-protected-resource';

/**
 * Returns the address of the metadata of the API with this identifier (RFC 9728 section 3.1), or '' if the identifier
 * is not an http(s) URL. The path of the identifier, without a slash at its end, and its query follow the well-known
 * path unchanged.
 *
 * @param {string} audience
 */
export function metadataURL(audience) {
  const found = /^(https?:\/\/[^/?#]+)([^?#]*)(\?[^#]*)?$/i.exec(audience);
  if (!found) return '';
  const [, origin, path, query = ''] = found;
  return origin + wellKnown + path.replace(/\/$/, '') + query;
}

/**
 * Returns the metadata of an API (RFC 9728 section 2) as a function that responds to a request's method. Scripts of
 * every origin may read it.
 *
 * @param {{issuer: string, audience: string}} api
 * @param {string[]} scopes
 * @returns {import('../types/index.d.ts').Metadata | undefined} undefined if the audience is not an http(s) URL
 */
export function metadataOf({ issuer, audience }, scopes) {
  const url = metadataURL(audience);
  if (!url) return undefined;
  const body = JSON.stringify({
    resource: audience,
    authorization_servers: [issuer],
    ...(scopes.length > 0 && { scopes_supported: [...scopes].sort() }),
    bearer_methods_supported: ['header'],
  });
  return { url, path: new URL(url).pathname, respond: (method) => respond(method, body) };
}

/**
 * @param {string} method
 * @param {string} body
 * @returns {{status: number, headers: Record<string, string>, body: string}}
 */
function respond(method, body) {
  const anyOrigin = { 'Access-Control-Allow-Origin': '*' };
  switch (method) {
    case 'GET':
    case 'HEAD':
      return { status: 200, headers: { 'Content-Type': 'application/json', ...anyOrigin }, body };
    case 'OPTIONS': {
      const preflight = {
        'Access-Control-Allow-Methods': 'GET, HEAD',
        'Access-Control-Allow-Headers': '*',
        'Access-Control-Max-Age': '600',
      };
      return { status: 204, headers: { ...anyOrigin, ...preflight }, body: '' };
    }
  }
  const problem = { title: STATUS_CODES[405], status: 405, detail: STATUS_CODES[405] };
  const headers = { 'Content-Type': 'application/problem+json', Allow: 'GET, HEAD', ...anyOrigin };
  return { status: 405, headers, body: JSON.stringify(problem) };
}
