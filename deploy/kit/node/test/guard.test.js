import assert from 'node:assert/strict';
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openGuard } from '@hallpass-auth/kit';
import { audience, newKey, sign, startIssuer, until } from './issuer.js';

/** Opens a guard that is closed at the end of the test, and waits until it has keys. */
async function guardOf(t, issuer, more) {
  const guard = await openGuard(issuer.config(more));
  t.after(() => guard.close());
  await until(() => !guard.notReady());
  return guard;
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

const bearing = (token) => ({ authorization: [`Bearer ${token}`], url: '/items' });

/** Returns the status of the response to a request with a token. */
async function statusNow(guard, token, ...scopes) {
  const { refusal } = await guard.authenticate(bearing(token), scopes);
  return refusal?.status ?? 200;
}

/** Is statusNow without 503: on a busy machine, keys or a list may take longer than a request waits. */
async function statusOf(guard, token, ...scopes) {
  let status = 503;
  await until(async () => (status = await statusNow(guard, token, ...scopes)) !== 503);
  return status;
}

test('the claims of a valid token', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await guardOf(t, issuer);
  const act = { sub: 'orders', act: { sub: 'web' } };
  const scope = 'items:read  profile';
  const token = await issuer.token({ scope, preferred_username: 'john.doe', groups: ['a'], act });
  const { claims } = await guard.authenticate(bearing(token), ['items:read']);
  assert.equal(claims.subject, 'usr_1');
  assert.equal(claims.isUser, true);
  assert.equal(claims.username, 'john.doe');
  assert.equal(claims.clientId, 'demo');
  assert.deepEqual(claims.scope, ['items:read', 'profile']);
  assert.deepEqual(claims.groups, ['a']);
  assert.deepEqual(claims.actors, ['orders', 'web']);
  assert.deepEqual(claims.expiresAt, new Date(1000 * (issuer.seconds + 1800)));
  assert.throws(() => claims.scope.push('admin'), TypeError);
  assert.throws(() => { claims.subject = 'usr_2'; }, TypeError);
});

test('tokens that are refused', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await guardOf(t, issuer);
  const stranger = await newKey('1');
  const at = (idx, uri = `${issuer.url}/status-lists/0`) => ({ status: { status_list: { idx, uri } } });
  const wrong = {
    'not a token': 'x',
    'of a stranger': await issuer.token({}, {}, stranger),
    'of an unknown key': await issuer.token({}, { kid: '1 ' }),
    'of another type': await issuer.token({}, { typ: 'JWT' }),
    'without a type': await issuer.token({}, { typ: undefined }),
    'with an unsupported alg': [{ alg: 'none', typ: 'at+jwt', kid: '1' }, {}, {}].map(encode).join('.'),
    'with a repeated claim': await sign(`{"iss":"a","iss":"${issuer.url}"}`, { typ: 'at+jwt' }, issuer.keys[0]),
    'of another issuer': await issuer.token({ iss: 'https://other.example' }),
    'for another API': await issuer.token({ aud: ['https://other.example'] }),
    'expired': await issuer.token({ exp: issuer.seconds - 5 }),
    'not valid yet': await issuer.token({ nbf: issuer.seconds + 6 }),
    'from the future': await issuer.token({ iat: issuer.seconds + 3601 }),
    'with a text as exp': await issuer.token({ exp: '9999999999' }),
    'without sub': await issuer.token({ sub: undefined }),
    'bound to a key': await issuer.token({ cnf: { jkt: 'x' } }),
    'without a list': await issuer.token({ status: undefined }),
    'with a list elsewhere': await issuer.token(at(1, `${issuer.url}/jwks.json`)),
    'with a list above': await issuer.token(at(1, `${issuer.url}/status-lists/../x`)),
    'with an index beyond the list': await issuer.token(at(128)),
    'with a negative index': await issuer.token(at(-1)),
    'longer than 8 KB': await issuer.token({ name: 'x'.repeat(8192) }),
    'cut': (await issuer.token()).slice(0, -1),
    'with a space': `${await issuer.token()} x`,
  };
  for (const [what, token] of Object.entries(wrong)) {
    assert.equal(await statusOf(guard, token), 401, what);
    const { refusal } = await guard.authenticate(bearing(token));
    assert.match(refusal.headers['WWW-Authenticate'], /error="invalid_token"/, what);
  }
  assert.equal(await statusOf(guard, await issuer.token({ exp: issuer.seconds - 4 })), 200, 'within the leeway');
});

test('responses to requests that are refused', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await guardOf(t, issuer);
  const token = await issuer.token();
  assert.equal(await statusOf(guard, token), 200);
  const challenge = async (authorization, url = '/items', scopes = ['items:write']) => {
    const { refusal } = await guard.authenticate({ authorization, url }, scopes);
    return [refusal.status, refusal.headers['WWW-Authenticate'], JSON.parse(refusal.body).detail];
  };
  const realm = 'Bearer realm="https://api.example"';
  const none = [401, `${realm}, scope="items:write"`, 'Not authenticated'];
  assert.deepEqual(await challenge([]), none);
  assert.deepEqual(await challenge(['Basic x']), none);
  assert.deepEqual(await challenge([], '/items?access_token=x'), none);
  const twice = 'The access token must be sent once, in one Authorization header';
  const two = [400, `${realm}, error="invalid_request", error_description="${twice}"`, twice];
  assert.deepEqual(await challenge([`Bearer ${token}`, `Bearer ${token}`]), two);
  assert.deepEqual(await challenge([`Bearer ${token}`], '/items?a=b&access%5Ftoken=x'), two);
  assert.deepEqual(await challenge(['Bearer x']), [401, `${realm}, error="invalid_token", ` +
    'error_description="Could not validate credentials", scope="items:write"', 'Could not validate credentials']);
  guard.metadata(['items:read']);
  assert.deepEqual(await challenge([`bearer  ${token}`]), [403, `${realm}, error="insufficient_scope", ` +
    'error_description="The access token lacks a scope that this needs", scope="items:write", ' +
    'resource_metadata="https://api.example/.well-known/oauth-protected-resource"',
    'The access token lacks a scope that this needs']);
});

test('scopes that include others, and tokens of services', async (t) => {
  const issuer = await startIssuer(t);
  const scopeIncludes = { admin: ['items:write'], 'items:write': ['items:read'] };
  const guard = await guardOf(t, issuer, { scopeIncludes });
  const token = await issuer.token({ scope: 'admin', sub: 'reporter' });
  assert.equal(await statusOf(guard, token, 'items:read', 'items:write', 'admin'), 200);
  assert.equal(await statusOf(guard, token, 'other'), 403);
  const { refusal } = await guard.authenticate(bearing(token), ['items:read'], { onlyUsers: true });
  assert.equal(refusal.code, 'invalid_token');
});

test('a revoked token is refused, and other tokens are not', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await guardOf(t, issuer);
  const token = await issuer.token();
  const other = await issuer.token({ status: { status_list: { idx: 4, uri: `${issuer.url}/status-lists/0` } } });
  assert.equal(await statusOf(guard, token), 200);
  await until(() => issuer.requests.unchanged > 1);
  issuer.revoke(3);
  await until(async () => (await statusOf(guard, token)) === 401);
  assert.equal(await statusOf(guard, other), 200);
  assert.deepEqual(guard.stats().lists.count, 1);
});

test('a new key is unnoticed, also one that a token names before it is known', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await guardOf(t, issuer);
  const before = await issuer.token();
  assert.equal(await statusOf(guard, before), 200);
  issuer.keys.push(await newKey('2'));
  const after = await issuer.token();
  assert.equal(await statusOf(guard, after), 200);
  assert.equal(await statusOf(guard, before), 200);
  issuer.keys[0].jwk.exp = issuer.seconds + 60;
  issuer.now += 61_000;
  assert.equal(await statusOf(guard, after), 200);
});

test('a withdrawn key verifies nothing, also if the set has keys that no API can use', async (t) => {
  const issuer = await startIssuer(t);
  const [leaked] = issuer.keys;
  const others = [
    { kty: 'EC', crv: 'P-384', kid: 'a', x: 'AAAA', y: 'AAAA' },
    { kty: 'LATTICE', kid: 'b' },
    { ...leaked.jwk, use: 'enc' },
    null,
  ].map((jwk) => ({ jwk }));
  issuer.keys = [...others, leaked];
  const lines = [];
  const log = (level, message, fields) => lines.push({ level, message, ...fields });
  const guard = await guardOf(t, issuer, { log });
  const old = await issuer.token();
  assert.equal(await statusOf(guard, old), 200);
  const next = await newKey('2');
  issuer.keys = [...others, next];
  assert.equal(await statusOf(guard, await issuer.token()), 200);
  assert.equal(await statusOf(guard, old), 401);
  const message = 'published keys ignored: they cannot verify tokens here';
  const line = { level: 'info', message, url: `${issuer.url}/jwks.json`, ignored: 4 };
  const first = 'key 1 of 5: its curve is not P-256';
  assert.deepEqual(lines.filter((told) => told.message === message), [{ ...line, first }, { ...line, first }]);
});

test('many unknown keys cause one fetch', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await guardOf(t, issuer);
  const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => issuer.token({}, { kid: `x${i}` })));
  for (const status of await Promise.all(tokens.map((token) => statusOf(guard, token)))) assert.equal(status, 401);
  assert.equal(issuer.requests.keys, 2);
});

test('the first request waits for the keys and the list', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await openGuard(issuer.config());
  t.after(() => guard.close());
  assert.equal(await statusOf(guard, await issuer.token()), 200);
});

test('a key that has ended verifies nothing, not even a token in the cache', async (t) => {
  const issuer = await startIssuer(t);
  issuer.keys.unshift(await newKey('old', { exp: issuer.seconds + 60 }));
  const guard = await guardOf(t, issuer);
  const token = await issuer.token({}, {}, issuer.keys[0]);
  assert.equal(await statusOf(guard, token), 200);
  issuer.now += 60_000;
  assert.equal(await statusOf(guard, token), 401);
});

test('without keys and lists there is a 503 without a challenge', async (t) => {
  const issuer = await startIssuer(t);
  issuer.down = true;
  const guard = await openGuard(issuer.config());
  t.after(() => guard.close());
  const token = await issuer.token();
  const { refusal } = await guard.authenticate(bearing(token));
  assert.equal(refusal.status, 503);
  assert.equal(refusal.headers['Retry-After'], '1');
  assert.equal(refusal.headers['WWW-Authenticate'], undefined);
  assert.match(guard.notReady(), /no keys/);
  issuer.down = false;
  await until(async () => (await statusOf(guard, token)) === 200);
  assert.equal(guard.notReady(), undefined);
});

test('an outage is unnoticed until the list expires, then there is a 503', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await guardOf(t, issuer);
  const token = await issuer.token({ exp: issuer.seconds + 3600 });
  assert.equal(await statusOf(guard, token), 200);
  issuer.down = true;
  issuer.now += 299_000;
  assert.equal(await statusOf(guard, token), 200);
  issuer.now += 6_000; // the list's 300 seconds and the leeway
  assert.equal(await statusNow(guard, token), 503);
  assert.equal(guard.notReady(), undefined);
  issuer.down = false;
  await until(async () => (await statusOf(guard, token)) === 200);
});

test('a keys file is read again, and the keys read last stay if it is not usable', async (t) => {
  const issuer = await startIssuer(t);
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-kit-'));
  t.after(() => rm(folder, { recursive: true }));
  const keysFile = join(folder, 'keys.json');
  const write = async (keys) => {
    await writeFile(`${keysFile}.new`, JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }), { mode: 0o600 });
    await rename(`${keysFile}.new`, keysFile);
  };
  await write(issuer.keys);
  const guard = await guardOf(t, issuer, { keysUrl: undefined, keysFile });
  const before = await issuer.token();
  assert.equal(await statusOf(guard, before), 200);

  issuer.keys.push(await newKey('2'));
  const after = await issuer.token();
  assert.equal(await statusOf(guard, after), 401);
  await write(issuer.keys);
  await until(async () => (await statusOf(guard, after)) === 200);

  await chmod(keysFile, 0o644);
  await until(() => guard.stats().keys.error);
  assert.match(guard.stats().keys.error, /chmod 600/);
  assert.equal(await statusOf(guard, before), 200);
  assert.equal(await statusNow(guard, await issuer.token({}, { kid: '3' })), 503);
});

test('a wrong configuration names the field', async () => {
  const good = { issuer: 'https://login.example', audience, tokenSecret: 'x'.repeat(32) };
  for (const [field, change] of Object.entries({
    issuer: { issuer: 'https://login.example/' },
    audience: { audience: 'api' },
    keys: { tokenSecret: '' },
    tokenSecret: { tokenSecret: 'short' },
    keysFile: { tokenSecret: '', keysFile: '/nowhere/keys.json' },
    keysUrl: { tokenSecret: '', keysUrl: 'http://login.example/jwks.json' },
    statusListsUrl: { statusListsUrl: 'login.example' },
  })) {
    await assert.rejects(openGuard({ ...good, ...change }), { name: 'ConfigError', field });
  }
  const jwk = { kty: 'oct', kid: '1', k: 'A'.repeat(43), aud: 'https://other.example' };
  await assert.rejects(openGuard({ ...good, tokenSecret: '', keys: { keys: [jwk] } }), /the secret of another API/);
  const shared = { keys: [{ ...jwk, aud: audience }, { ...jwk, aud: undefined, kid: '2' }] };
  await assert.rejects(openGuard({ ...good, tokenSecret: '', keys: shared }), /the secret of the default API/);
});

test('one refusal a minute is logged, without the token', async (t) => {
  const issuer = await startIssuer(t);
  const lines = [];
  const guard = await guardOf(t, issuer, { log: (level, message, fields) => lines.push([level, message, fields]) });
  const token = await issuer.token({ aud: ['https://other.example'] });
  for (let i = 0; i < 3; i++) await guard.authenticate(bearing(token));
  const refused = lines.filter(([, message]) => message === 'access token refused');
  assert.deepEqual(refused.map(([level]) => level), ['info', 'debug', 'debug']);
  assert.equal(refused[0][2].reason, 'aud is another API');
  assert.ok(!JSON.stringify(lines).includes(token.slice(0, 20)));
});

test('while the keys cannot be fetched, clients that invent keys cannot fill the log', async (t) => {
  const issuer = await startIssuer(t);
  issuer.down = true;
  const lines = [];
  const guard = await openGuard(issuer.config({ log: (level, message) => lines.push([level, message]) }));
  t.after(() => guard.close());
  await until(() => guard.stats().keys.error);
  const token = await issuer.token();
  for (let i = 0; i < 20; i++) assert.equal(await statusNow(guard, token), 503);
  const unchecked = lines.filter(([, message]) => message === 'access token not checked');
  assert.deepEqual(unchecked.map(([level]) => level), ['warn', ...Array(19).fill('debug')]);
});
