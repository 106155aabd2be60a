// Adapter for Fastify 4 and 5.
import { fromNode } from './credentials.js';
import { checkLogin } from './login.js';

/** @typedef {import('../types/index.d.ts').Guard} Guard */
/** @typedef {import('../types/index.d.ts').Claims} Claims */
/** @typedef {import('../types/index.d.ts').Login} Login */
/** @typedef {import('fastify').FastifyReply} Reply */

/** Where a request has the claims of its token. */
const claimsKey = Symbol('hallpass claims');

/**
 * @param {Guard} guard
 * @param {...string} scopes
 * @returns {import('fastify').onRequestAsyncHookHandler}
 */
export function protect(guard, ...scopes) {
  return hook(guard, scopes, {});
}

/**
 * @param {Guard} guard
 * @param {...string} scopes
 * @returns {import('fastify').onRequestAsyncHookHandler}
 */
export function protectUser(guard, ...scopes) {
  return hook(guard, scopes, { onlyUsers: true });
}

/**
 * @param {Guard} guard
 * @param {Login} login
 * @param {...string} scopes
 * @returns {import('fastify').onRequestAsyncHookHandler}
 */
export function protectLogin(guard, login, ...scopes) {
  return hook(guard, scopes, { login: checkLogin(login) });
}

/**
 * @param {Guard} guard
 * @param {string[]} scopes
 * @param {{onlyUsers?: boolean, login?: Login}} options
 * @returns {import('fastify').onRequestAsyncHookHandler}
 */
function hook(guard, scopes, options) {
  return async (request, reply) => {
    const result = await guard.authenticate(fromNode(request.raw, request.originalUrl), scopes, options);
    if (result.refusal) return send(reply, result.refusal);
    /** @type {any} */ (request)[claimsKey] = result.claims;
  };
}

/**
 * @param {import('fastify').FastifyRequest} request
 * @returns {Claims}
 */
export function claimsOf(request) {
  const claims = /** @type {any} */ (request)[claimsKey];
  if (!claims) throw new Error('the route is not protected');
  return claims;
}

/**
 * @param {import('fastify').FastifyInstance} app
 * @param {Guard} guard
 * @param {...string} scopes
 */
export function serveMetadata(app, guard, ...scopes) {
  const metadata = guard.metadata(scopes);
  if (!metadata) return;
  // A colon or an asterisk in the path of a route would be a parameter.
  const path = metadata.path.replaceAll(':', '::').replaceAll('*', '%2A');
  app.all(path, async (request, reply) => send(reply, metadata.respond(request.method)));
}

/**
 * @param {Reply} reply
 * @param {{status: number, headers: Record<string, string>, body: string}} response
 */
function send(reply, { status, headers, body }) {
  return reply.code(status).headers(headers).send(body);
}
