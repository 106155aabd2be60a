// Adapter for Express 4 and 5.
import { fromNode } from './credentials.js';
import { checkLogin } from './login.js';

/** @typedef {import('../types/index.d.ts').Guard} Guard */
/** @typedef {import('../types/index.d.ts').Claims} Claims */
/** @typedef {import('../types/index.d.ts').Login} Login */

/** Where a request has the claims of its token. */
const claimsKey = Symbol('hallpass claims');

/**
 * @param {Guard} guard
 * @param {...string} scopes
 * @returns {import('express').RequestHandler}
 */
export function protect(guard, ...scopes) {
  return handler(guard, scopes, {});
}

/**
 * @param {Guard} guard
 * @param {...string} scopes
 * @returns {import('express').RequestHandler}
 */
export function protectUser(guard, ...scopes) {
  return handler(guard, scopes, { onlyUsers: true });
}

/**
 * @param {Guard} guard
 * @param {Login} login
 * @param {...string} scopes
 * @returns {import('express').RequestHandler}
 */
export function protectLogin(guard, login, ...scopes) {
  return handler(guard, scopes, { login: checkLogin(login) });
}

/**
 * @param {Guard} guard
 * @param {string[]} scopes
 * @param {{onlyUsers?: boolean, login?: Login}} options
 * @returns {import('express').RequestHandler}
 */
function handler(guard, scopes, options) {
  return async (request, response, next) => {
    const result = await guard.authenticate(fromNode(request, request.originalUrl), scopes, options);
    if (result.refusal) {
      response.status(result.refusal.status).set(result.refusal.headers).end(result.refusal.body);
      return;
    }
    /** @type {any} */ (request)[claimsKey] = result.claims;
    next();
  };
}

/**
 * @param {import('express').Request} request
 * @returns {Claims}
 */
export function claimsOf(request) {
  const claims = /** @type {any} */ (request)[claimsKey];
  if (!claims) throw new Error('the route is not protected');
  return claims;
}

/**
 * @param {import('express').Application} app
 * @param {Guard} guard
 * @param {...string} scopes
 */
export function serveMetadata(app, guard, ...scopes) {
  const metadata = guard.metadata(scopes);
  if (!metadata) return;
  app.use((request, response, next) => {
    if (request.originalUrl.split('?', 1)[0] !== metadata.path) return next();
    const { status, headers, body } = metadata.respond(request.method);
    response.status(status).set(headers).end(body);
  });
}
