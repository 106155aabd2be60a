/** Protects an API with access tokens of Hallpass (RFC 6750). */

import type { IncomingMessage } from 'node:http';

/** Which authorization server an API trusts. Exactly one of keysUrl, keysFile, tokenSecret and keys is required. */
export interface Config {
  /** Identifier of the authorization server, a URL, written exactly as in its tokens (RFC 8414 section 2). */
  issuer: string;
  /** Identifier of this API, an absolute URI, which a token must have in aud. */
  audience: string;
  /**
   * Address of the authorization server's public keys: its /jwks.json. They are fetched in the background. A request
   * with a token whose key is not known yet waits for them, for up to 4 seconds. An http URL is accepted only for this
   * machine.
   */
  keysUrl?: string;
  /** Path of a JWK Set. The file is read again when it changes, and refused if it has the secret of another API. */
  keysFile?: string;
  /** A secret of 32 bytes or more that the authorization server shares with its APIs. */
  tokenSecret?: string;
  /** A JWK Set that never changes, for tests. */
  keys?: { keys: object[] };
  /** The scopes that a scope includes, such as {'items:write': ['items:read']}. They include others in turn. */
  scopeIncludes?: Record<string, string[]>;
  /**
   * Address of the authorization server's status lists, for an API that reaches the server at another address than
   * issuer. By default it is issuer + '/status-lists'. It may be an http URL, because lists are signed.
   */
  statusListsUrl?: string;
  /**
   * Accepts tokens that refer to no status list, and so cannot be revoked. Tokens of Hallpass always refer to one: set
   * it only in tests or for another issuer.
   */
  allowMissingStatus?: boolean;
  /** Gets failures to refresh keys and lists, and why tokens are refused. By default, lines on standard error. */
  log?: Log;
  /** The clock for the expiry of tokens, lists and keys, in milliseconds since 1970. By default Date.now. */
  now?: () => number;
}

/**
 * Writes a line of the log. One refusal of a token a minute has the level info, the others debug. The fields never
 * hold a token or a secret.
 */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Record<string, unknown>,
) => void;

/**
 * Opens a guard that keeps its keys and status lists fresh until it is closed. It reads a keys file before it returns,
 * but makes no network request. It throws a ConfigError.
 */
export function openGuard(config: Config): Promise<Guard>;

/** A field of the configuration is wrong. The message never holds a secret. */
export class ConfigError extends Error {
  /** The name of the field. It is keys if none or more than one source of keys is set. */
  readonly field: string;
  constructor(field: string, reason: string);
}

/** Lets requests with valid access tokens through. Most programs use it through the adapter of their framework. */
export interface Guard {
  /** Identifier of the authorization server whose tokens are accepted. */
  readonly issuer: string;
  /** Identifier of the API that a token must be for. */
  readonly audience: string;
  /**
   * Returns the claims of a request's token, or the refusal to respond with. It never throws. With onlyUsers, a token
   * that a client got for itself is refused as invalid. With login, so is one, and a token of a login that is not good
   * enough is refused with what the client has to ask for.
   */
  authenticate(
    credentials: Credentials, scopes?: string[], options?: { onlyUsers?: boolean; login?: Login },
  ): Promise<Result>;
  /** Returns the refusal of a valid token that cannot be accepted for a reason that only the caller knows. */
  invalidToken(scopes?: string[]): Refusal;
  /**
   * Returns the metadata of the API (RFC 9728), for serveMetadata of an adapter. From then on, the challenges of
   * refusals name its address. It returns undefined if the audience is not an http(s) URL.
   */
  metadata(scopes?: string[]): Metadata | undefined;
  /**
   * Returns why the API cannot verify tokens, for a readiness check: there is no key yet, or the keys are about to end
   * and new ones cannot be read. It returns undefined if it can. It ignores the age of the status lists.
   */
  notReady(): string | undefined;
  /** Returns figures for metrics. */
  stats(): { lists: ListStats; keys: KeyStats };
  /** Ends the work in the background. */
  close(): void;
}

/** How and when a user must have logged in (RFC 9470). */
export interface Login {
  /**
   * The authentication context classes that the token may have: a login with two factors is '2' at Hallpass. By default
   * any. If there are several, name the best one first.
   */
  acrValues?: readonly string[];
  /** How long ago the login may be, in whole seconds. By default any time. */
  maxAge?: number;
}

/** What a request says about its sender. */
export interface Credentials {
  /** The values of all its Authorization headers. */
  authorization: string[];
  /** Its URL, with the query. */
  url: string;
}

/** Returns the credentials of a request of node:http. The URL is that which was received. */
export function fromNode(request: IncomingMessage, url: string): Credentials;

/** Returns the credentials of a request of the Fetch API. */
export function fromFetch(request: Request): Credentials;

export type Result = { claims: Claims; refusal?: undefined } | { claims?: undefined; refusal: Refusal };

/** What an access token says. Claims are frozen, because requests share them. */
export interface Claims {
  readonly issuer: string;
  /** Id of the user, or of the client if no user is involved. Store it, not the username, as the owner of a record. */
  readonly subject: string;
  /** Identifiers of the APIs that the token is for. */
  readonly audience: readonly string[];
  /** The client that got the token. */
  readonly clientId: string;
  /** Id of the token (jti). */
  readonly id: string;
  readonly issuedAt: Date;
  readonly notBefore?: Date;
  readonly expiresAt: Date;
  /** What the token allows. */
  readonly scope: readonly string[];
  /** The user's, only with the scope profile; otherwise empty. */
  readonly username: string;
  readonly name: string;
  /** The user's groups when the token was issued, only with the scope groups. */
  readonly groups: readonly string[];
  /**
   * The clients that act for the user, the latest first, if the token was exchanged (RFC 8693 section 4.1). Decide by
   * the first one only.
   */
  readonly actors: readonly string[];
  /**
   * The class of the user's login: '1' for one factor, '2' for two. Empty for a client. methods are those of the login
   * (amr, RFC 8176), and authTime is when it was.
   */
  readonly acr: string;
  readonly methods: readonly string[];
  readonly authTime?: Date;
  /** The bit that revokes the token. */
  readonly status?: { readonly uri: string; readonly index: number };
  /** Whether the token was issued for a user. */
  readonly isUser: boolean;
}

/** The response to a request that is not let through. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 503;
  /** Error code (RFC 6750 section 3.1, RFC 9470 section 3); empty without credentials, and with 503. */
  readonly code: string;
  /** For the developer of the client. */
  readonly detail: string;
  readonly headers: Record<string, string>;
  /** A problem document (RFC 9457). */
  readonly body: string;
}

/** The metadata of an API. */
export interface Metadata {
  readonly url: string;
  /** The path of the URL. */
  readonly path: string;
  /** Returns the response to a request for the path. */
  respond(method: string): { status: number; headers: Record<string, string>; body: string };
}

export interface ListStats {
  /** How many lists are kept. */
  count: number;
  /** Milliseconds since the stalest list was fetched or found unchanged. */
  oldest: number;
  /** How many fetches have failed. */
  failures: number;
}

export interface KeyStats {
  /** How many attempts to read the keys have failed. */
  failures: number;
  /** Why the last attempt failed. */
  error?: string;
  /** When the last key stops verifying; undefined for never. */
  end?: Date;
}

/** Returns the address of the metadata of the API with this identifier, or '' if it is not an http(s) URL. */
export function metadataURL(audience: string): string;
