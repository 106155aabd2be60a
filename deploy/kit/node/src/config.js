import { ConfigError, messageOf } from './errors.js';
import { FileKeys, URLKeys, fixedKeys } from './keys.js';
import { parseRing, ringOfSecret } from './ring.js';

/** @typedef {import('../types/index.d.ts').Config} Config */
/** @typedef {import('../types/index.d.ts').Log} Log */

const maxAudience = 255; // bytes

/**
 * Throws a ConfigError if a field of the configuration is wrong.
 *
 * @param {Config} config
 */
export function checkConfig({ issuer, audience, statusListsUrl = '' }) {
  if (!isURL(issuer) || issuer.includes('?') || issuer.endsWith('/')) {
    throw new ConfigError('issuer', `${JSON.stringify(issuer)} must be a URL like https://login.example.com, ` +
      'without user, query or fragment (RFC 8414 section 2), and not end in a slash');
  }
  const isWeb = /^https?:/i.test(audience);
  if (!/^[a-z][a-z0-9+.-]*:[!-~]+$/i.test(audience) || audience.includes('#') || audience.length > maxAudience ||
    /^urn:hallpass:/i.test(audience) || (isWeb && !isURL(audience))) {
    throw new ConfigError('audience', `${JSON.stringify(audience)} must be an absolute URI like ` +
      `https://api.example.com, of at most ${maxAudience} bytes, without user or fragment`);
  }
  if (statusListsUrl && (!isURL(statusListsUrl) || statusListsUrl.includes('?'))) {
    throw new ConfigError('statusListsUrl',
      'it is not a URL like https://login.example.com/status-lists, without user and query');
  }
}

/**
 * Reports whether a text is an http(s) URL without user and fragment.
 *
 * @param {unknown} text
 * @returns {text is string}
 */
function isURL(text) {
  return typeof text === 'string' && /^https?:\/\/[^\s/?#@\\]+[^\s#@\\]*$/.test(text) && URL.canParse(text);
}

/**
 * Opens the source of keys that the configuration names.
 *
 * @param {Config} config
 * @param {Log} log
 * @returns {Promise<import('./keys.js').KeySource>}
 */
export async function openKeys(config, log) {
  const names = /** @type {const} */ (['keysUrl', 'keysFile', 'tokenSecret', 'keys']);
  const given = names.filter((name) => config[name]);
  if (given.length !== 1) {
    throw new ConfigError('keys', `set one of ${names.join(', ')}; ${given.join(' and ') || 'none'} is set`);
  }
  const [name] = given;
  try {
    return await openSource(name, config, log);
  } catch (error) {
    throw new ConfigError(name, (name === 'keysFile' ? `${config.keysFile}: ` : '') + messageOf(error));
  }
}

/**
 * @param {'keysUrl' | 'keysFile' | 'tokenSecret' | 'keys'} name
 * @param {Config} config
 * @param {Log} log
 */
async function openSource(name, { audience, keysUrl = '', keysFile = '', tokenSecret = '', keys }, log) {
  switch (name) {
    case 'keysUrl':
      checkKeysURL(keysUrl);
      return new URLKeys(keysUrl, log);
    case 'keysFile':
      return new FileKeys(keysFile, (ring) => {
        checkKeys(ring, audience);
        warnAboutPrivateKeys(ring, log);
      }, log).open();
    case 'tokenSecret':
      return fixedKeys(await ringOfSecret(tokenSecret));
  }
  const ring = await parseRing(Buffer.from(JSON.stringify(keys)));
  checkKeys(ring, audience);
  return fixedKeys(ring);
}

/**
 * The keys are not signed, so without TLS an attacker on the network could replace them and then sign tokens.
 *
 * @param {string} text
 */
function checkKeysURL(text) {
  if (!isURL(text)) throw new Error('it is not a URL like https://login.example.com/jwks.json, without user');
  const { protocol, hostname } = new URL(text);
  if (protocol !== 'https:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/i.test(hostname)) {
    throw new Error('it must begin with https:// unless the host is this machine: an attacker on the network could ' +
      "replace the keys, and sign tokens. Without TLS, use a keys file ('authserver key export' makes one)");
  }
}

/**
 * Refuses keys with which this API could sign tokens for another one: a key that is bound to the other API, or a
 * shared secret that is bound to none if this API also has its own key.
 *
 * @param {import('./ring.js').Ring} ring
 * @param {string} audience
 */
function checkKeys({ keys }, audience) {
  const other = keys.find((key) => key.audience && key.audience !== audience && !key.isForIDTokens);
  if (other) {
    throw new Error(`it holds the secret of another API, ${other.audience}, which this one must not have: ` +
      "'authserver key export' makes a file without it");
  }
  const own = keys.some((key) => key.audience === audience);
  const shared = keys.some((key) => key.audience === '' && key.algorithm === 'HS256');
  if (own && shared) {
    throw new Error(`it holds the secret of the default API beside that of ${audience}, which must not have it: ` +
      `'authserver key export --api ${audience}' makes a file without it`);
  }
}

/**
 * @param {import('./ring.js').Ring} ring
 * @param {Log} log
 */
function warnAboutPrivateKeys({ keys }, log) {
  for (const key of keys.filter(({ hasPrivate, algorithm }) => hasPrivate && algorithm !== 'HS256')) {
    log('warn', key.isForIDTokens
      ? "the keys file has the private key for ID tokens, which is for the authorization server alone: " +
        "'authserver key export' makes a file without it; the key is ignored"
      : 'the keys file has a private key, so an attacker who can read it can sign tokens: ' +
        "'authserver key export' makes a file without it, and keysUrl needs no file", { kid: key.id });
  }
}
