// An authorization server for tests: it signs tokens, and publishes keys and status lists.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { deflateSync } from 'node:zlib';
import { CompactSign, exportJWK, generateKeyPair } from 'jose';

export const audience = 'https://api.example';

/**
 * Starts the server. The test ends it.
 *
 * @param {import('node:test').TestContext} t
 */
export async function startIssuer(t) {
  const issuer = new Issuer();
  await issuer.start();
  t.after(() => issuer.stop());
  return issuer;
}

/** Returns a new key, with its JWK. */
export async function newKey(kid, members = {}) {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'EdDSA', ...members } };
}

export class Issuer {
  now = Date.now(); // the clock of the issuer and of its guards
  keys = [];
  bits = Buffer.alloc(16); // of the list 0
  requests = { keys: 0, lists: 0, unchanged: 0 };
  down = false;
  respond = undefined; // sends another list instead

  async start() {
    this.keys = [await newKey('1')];
    this.#server = createServer((request, response) => this.#handle(request, response));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  #server;

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Returns the configuration of a guard that trusts this issuer. */
  config(more = {}) {
    const keysUrl = `${this.url}/jwks.json`;
    return { issuer: this.url, audience, keysUrl, now: () => this.now, log: () => {}, ...more };
  }

  get seconds() {
    return Math.floor(this.now / 1000);
  }

  claims(more = {}) {
    return {
      iss: this.url, sub: 'usr_1', aud: [audience], exp: this.seconds + 1800, iat: this.seconds, jti: 'a',
      client_id: 'demo', scope: 'items:read', status: { status_list: { idx: 3, uri: `${this.url}/status-lists/0` } },
      ...more,
    };
  }

  token(more = {}, header = {}, key = this.keys.at(-1)) {
    return sign(JSON.stringify(this.claims(more)), { typ: 'at+jwt', ...header }, key);
  }

  revoke(index) {
    this.bits[index >> 3] |= 1 << (index & 7);
  }

  /** Returns the signed list 0. */
  list(more = {}, header = {}, key = this.keys.at(-1)) {
    const claims = {
      sub: `${this.url}/status-lists/0`, iat: this.seconds, exp: this.seconds + 300, ttl: 1,
      status_list: { bits: 1, lst: deflateSync(this.bits).toString('base64url') }, ...more,
    };
    return sign(JSON.stringify(claims), { typ: 'statuslist+jwt', ...header }, key);
  }

  async #handle(request, response) {
    if (this.down) return request.socket.destroy();
    if (request.url === '/jwks.json') {
      this.requests.keys++;
      return response.end(JSON.stringify({ keys: this.keys.map(({ jwk }) => jwk) }));
    }
    if (this.respond) return this.respond(response);
    this.requests.lists++;
    const etag = `"${this.bits.toString('hex')} ${this.keys.length}"`;
    if (request.headers['if-none-match'] === etag) {
      this.requests.unchanged++;
      return response.writeHead(304).end();
    }
    response.setHeader('ETag', etag).end(await this.list());
  }
}

/** Returns a payload as a JWS in compact serialization. */
export function sign(payload, header, { kid, privateKey }) {
  const protectedHeader = { alg: 'EdDSA', kid, ...header };
  return new CompactSign(Buffer.from(payload)).setProtectedHeader(protectedHeader).sign(privateKey);
}

/** Waits until a condition is true. */
export async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
