import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { Claims, Guard, Login } from './index.js';

/** Returns middleware that lets a request through if its token is valid and has all of the scopes. */
export function protect(guard: Guard, ...scopes: string[]): MiddlewareHandler;

/** Like protect, and also refuses a token that a client got for itself. */
export function protectUser(guard: Guard, ...scopes: string[]): MiddlewareHandler;

/**
 * Like protectUser, and also refuses a token of a login that is not good enough: 401 with what the client has to ask
 * for (RFC 9470). It throws a ConfigError if login is wrong.
 */
export function protectLogin(guard: Guard, login: Login, ...scopes: string[]): MiddlewareHandler;

/** Returns the claims of the token of a request that protect, protectUser or protectLogin has let through. */
export function claimsOf(context: Context<any, any, any>): Claims;

/** Publishes the metadata of the API (RFC 9728), which names its scopes. Call it before other routes are added. */
export function serveMetadata(app: Hono<any>, guard: Guard, ...scopes: string[]): void;
