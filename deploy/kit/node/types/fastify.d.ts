import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Claims, Guard, Login } from './index.js';

/** Returns an onRequest hook that lets a request through if its token is valid and has all of the scopes. */
export function protect(guard: Guard, ...scopes: string[]): Hook;

/** Like protect, and also refuses a token that a client got for itself. */
export function protectUser(guard: Guard, ...scopes: string[]): Hook;

/**
 * Like protectUser, and also refuses a token of a login that is not good enough: 401 with what the client has to ask
 * for (RFC 9470). It throws a ConfigError if login is wrong.
 */
export function protectLogin(guard: Guard, login: Login, ...scopes: string[]): Hook;

/** Returns the claims of the token of a request that protect, protectUser or protectLogin has let through. */
export function claimsOf(request: FastifyRequest<any>): Claims;

/** Publishes the metadata of the API (RFC 9728), which names its scopes. */
export function serveMetadata(app: FastifyInstance<any, any, any, any>, guard: Guard, ...scopes: string[]): void;

export type Hook = (request: FastifyRequest<any>, reply: FastifyReply<any>) => Promise<unknown>;
