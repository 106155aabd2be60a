import { checkConfig, openKeys } from './config.js';
import { tokenOf } from './credentials.js';
import { Unavailable, messageOf, InvalidToken } from './errors.js';
import { StatusLists } from './lists.js';
import { isGoodEnough } from './login.js';
import { quiet, reasonLog, stderrLog } from './log.js';
import { metadataOf } from './metadata.js';
import { reasons, refuse } from './refusal.js';
import { scopeCheck } from './scopes.js';
import { Verifier } from './verifier.js';

/** @typedef {import('../types/index.d.ts').Config} Config */
/** @typedef {import('../types/index.d.ts').Result} Result */
/** @typedef {import('../types/index.d.ts').Login} Login */

const endMargin = 60_000; // how long before the keys run out a source that cannot be read makes the API not ready

/**
 * Opens a guard that keeps its keys and status lists fresh until it is closed. It reads a keys file before it returns,
 * but makes no network request. It throws a ConfigError that names the field that is wrong.
 *
 * @param {Config} config
 * @returns {Promise<Guard>}
 */
export async function openGuard(config) {
  checkConfig(config);
  const log = quiet(config.log ?? stderrLog);
  return new Guard(config, await openKeys(config, log), log);
}

/** Lets requests with valid access tokens through. */
export class Guard {
  #cfg;
  #keys;
  #lists;
  #verifier;
  #log;
  #refused;
  #unchecked;
  #allows;
  #metadata = '';
  #now;

  /**
   * @param {Config} config
   * @param {import('./keys.js').KeySource} keys
   * @param {import('../types/index.d.ts').Log} log
   */
  constructor(config, keys, log) {
    const { issuer, audience, statusListsUrl: url = '', allowMissingStatus, scopeIncludes = {} } = config;
    const now = config.now ?? (() => Date.now());
    this.#cfg = { issuer, audience };
    this.#keys = keys;
    this.#log = log;
    this.#now = now;
    this.#refused = reasonLog(log, 'info', 'access token refused', 'more_refused_before');
    this.#unchecked = reasonLog(log, 'warn', 'access token not checked', 'more_not_checked_before');
    this.#allows = scopeCheck(scopeIncludes);
    this.#lists = new StatusLists({ keys, issuer, audience, url, log, now });
    this.#verifier = new Verifier({
      keys, lists: this.#lists, issuer, audience, requireStatus: !allowMissingStatus, now,
    });
  }

  get issuer() {
    return this.#cfg.issuer;
  }

  get audience() {
    return this.#cfg.audience;
  }

  /**
   * @param {import('../types/index.d.ts').Credentials} credentials
   * @param {string[]} [scopes]
   * @param {{onlyUsers?: boolean, login?: Login}} [options]
   * @returns {Promise<Result>}
   */
  async authenticate(credentials, scopes = [], { onlyUsers = false, login } = {}) {
    const sent = tokenOf(credentials);
    if ('reason' in sent) return this.#refuse(sent.reason, scopes);
    let claims;
    try {
      claims = await this.#verifier.verify(sent.token);
    } catch (error) {
      return this.#refuse(this.#reasonOf(error), scopes);
    }
    if (!scopes.every((scope) => this.#allows(claims.scope, scope))) return this.#refuse('scope', scopes);
    if ((onlyUsers || login) && !claims.isUser) return this.#refuse('invalidToken', scopes);
    if (login && !isGoodEnough(claims, login, this.#now())) return this.#refuse('login', scopes, login);
    return { claims };
  }

  /**
   * @param {unknown} error
   * @returns {'unavailable' | 'invalidToken'}
   */
  #reasonOf(error) {
    if (error instanceof InvalidToken) {
      this.#refused(error.message);
      return 'invalidToken';
    }
    if (error instanceof Unavailable) {
      this.#unchecked(error.message);
    } else {
      this.#log('error', 'access token not checked', { reason: messageOf(error) });
    }
    return 'unavailable';
  }

  /**
   * @param {keyof typeof reasons} reason
   * @param {string[]} scopes
   * @param {Login} [login] what the user must do again
   * @returns {Result}
   */
  #refuse(reason, scopes, login) {
    const { audience } = this.#cfg;
    return { refusal: refuse(reasons[reason], { audience, metadata: this.#metadata, scopes, login }) };
  }

  /** @param {string[]} [scopes] */
  invalidToken(scopes = []) {
    const { audience } = this.#cfg;
    return refuse(reasons.invalidToken, { audience, metadata: this.#metadata, scopes });
  }

  /** @param {string[]} [scopes] */
  metadata(scopes = []) {
    const metadata = metadataOf(this.#cfg, scopes);
    this.#metadata = metadata?.url ?? '';
    return metadata;
  }

  notReady() {
    const { keys } = this.#keys.ring;
    if (keys.length === 0) return 'there are no keys to verify tokens with';
    const { error, end } = this.#keys.stats();
    const left = end ? end.getTime() - this.#now() : Infinity;
    if (error && left <= endMargin) {
      return `the keys run out at ${end?.toISOString()}, and new ones cannot be read: ${error}`;
    }
    return left <= 0 ? 'all keys have expired' : undefined;
  }

  stats() {
    return { lists: this.#lists.stats(), keys: this.#keys.stats() };
  }

  close() {
    this.#keys.close();
    this.#lists.close();
  }
}
