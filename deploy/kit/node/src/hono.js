// Adapter for Hono 4.
import { fromFetch, fromNode } from './credentials.js';
import { checkLogin } from './login.js';

/** @typedef {import('../types/index.d.ts').Guard} Guard */
/** @typedef {import('../types/index.d.ts').Claims} Claims */
/** @typedef {import('../types/index.d.ts').Login} Login */
/** @typedef {import('hono').Context} Context */

/** The name of the variable of the context that has the claims of its token. */
const claimsKey = 'hallpass claims';

/**
 * @param {Guard} guard
 * @param {...string} scopes
 * @returns {import('hono').MiddlewareHandler}
 */
export function protect(guard, ...scopes) {
  return middleware(guard, scopes, {});
}

/**
 * @param {Guard} guard
 * @param {...string} scopes
 * @returns {import('hono').MiddlewareHandler}
 */
export function protectUser(guard, ...scopes) {
  return middleware(guard, scopes, { onlyUsers: true });
}

/**
 * @param {Guard} guard
 * @param {Login} login
 * @param {...string} scopes
 * @returns {import('hono').MiddlewareHandler}
 */
export function protectLogin(guard, login, ...scopes) {
  return middleware(guard, scopes, { login: checkLogin(login) });
}

/**
 * @param {Guard} guard
 * @param {string[]} scopes
 * @param {{onlyUsers?: boolean, login?: Login}} options
 * @returns {import('hono').MiddlewareHandler}
 */
function middleware(guard, scopes, options) {
  return async (context, next) => {
    const result = await guard.authenticate(credentialsOf(context), scopes, options);
    if (result.refusal) return responseOf(result.refusal);
    context.set(claimsKey, result.claims);
    await next();
  };
}

/**
 * Returns the credentials of a request. On node:http the raw headers show whether there are two of them.
 *
 * @param {Context} context
 */
function credentialsOf(context) {
  const incoming = context.env?.incoming;
  return incoming?.rawHeaders ? fromNode(incoming, incoming.url ?? '') : fromFetch(context.req.raw);
}

/**
 * @param {Context} context
 * @returns {Claims}
 */
export function claimsOf(context) {
  const claims = context.get(claimsKey);
  if (!claims) throw new Error('the route is not protected');
  return claims;
}

/**
 * @param {import('hono').Hono<any>} app
 * @param {Guard} guard
 * @param {...string} scopes
 */
export function serveMetadata(app, guard, ...scopes) {
  const metadata = guard.metadata(scopes);
  if (!metadata) return;
  app.use(async (context, next) => {
    if (new URL(context.req.url).pathname !== metadata.path) return next();
    return responseOf(metadata.respond(context.req.method));
  });
}

/** @param {{status: number, headers: Record<string, string>, body: string}} response */
function responseOf({ status, headers, body }) {
  return new Response(body || null, { status, headers });
}
