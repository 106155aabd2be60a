import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { openGuard } from '@hallpass-auth/kit';
import { merge, pauseOf } from '../src/copy.js';
import { Key, Ring } from '../src/ring.js';
import { List, decodeList } from '../src/statuslist.js';
import { newKey, startIssuer, until } from './issuer.js';

/** Returns the status of the response to a request with a token. */
async function statusOf(guard, token) {
  const { refusal } = await guard.authenticate({ authorization: [`Bearer ${token}`], url: '/' });
  return refusal?.status ?? 200;
}

test('the list of the draft', () => {
  // draft-ietf-oauth-status-list section 4.1: 1001 1101 1100 0101, index 0 first.
  const list = decodeList(Buffer.from('78dadbb918000217015d', 'hex').toString('base64url'));
  const bits = Array.from({ length: list.size }, (_, i) => Number(list.revoked(i)));
  assert.deepEqual(bits, [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
  assert.equal(list.revoked(16), undefined);
  assert.equal(list.revoked(-1), undefined);
});

test('texts that are no list', () => {
  const list = deflateSync(Buffer.alloc(8));
  for (const [what, bytes] of Object.entries({
    'cut': list.subarray(0, -1),
    'followed by data': Buffer.concat([list, list]),
    'longer than 2^20 bits': deflateSync(Buffer.alloc(131073)),
    'not compressed': Buffer.from('hello'),
    'empty': Buffer.alloc(0),
  })) {
    assert.throws(() => decodeList(bytes.toString('base64url')), undefined, what);
  }
  assert.throws(() => decodeList(`${list.toString('base64url')}=`));
  assert.equal(decodeList(deflateSync(Buffer.alloc(131072)).toString('base64url')).size, 1 << 20);
});

test('lists that are not the expected one are ignored', async (t) => {
  const issuer = await startIssuer(t);
  const guard = await openGuard(issuer.config());
  t.after(() => guard.close());
  const token = await issuer.token();
  const status = () => statusOf(guard, token);
  await until(async () => (await status()) === 200);

  const nothing = { bits: 1, lst: deflateSync(Buffer.alloc(16)).toString('base64url') };
  issuer.revoke(3);
  const wrong = {
    'forged': issuer.list({ status_list: nothing }, {}, await newKey('1')),
    'another list': issuer.list({ status_list: nothing, sub: `${issuer.url}/status-lists/1` }),
    'another type': issuer.list({ status_list: nothing }, { typ: 'at+jwt' }),
    'expired': issuer.list({ status_list: nothing, exp: issuer.seconds - 5 }),
    'without exp': issuer.list({ status_list: nothing, exp: undefined }),
    'with two bits': issuer.list({ status_list: { ...nothing, bits: 2 } }),
    'not a JWT': Promise.resolve('<html>'),
    'too large': Promise.resolve('x'.repeat(600_000)),
  };
  for (const [what, list] of Object.entries(wrong)) {
    const failures = guard.stats().lists.failures;
    const text = await list;
    issuer.respond = (response) => response.end(text);
    await until(() => guard.stats().lists.failures > failures);
    assert.equal(await status(), 200, `${what}: the copy from before is used`);
  }
  for (const code of [301, 404, 500]) {
    const failures = guard.stats().lists.failures;
    issuer.respond = (response) => response.writeHead(code, { Location: '/jwks.json' }).end();
    await until(() => guard.stats().lists.failures > failures);
    assert.equal(await status(), 200);
  }
  issuer.respond = undefined;
  await until(async () => (await status()) === 401);
});

test('a replayed older list does not undo a revocation', async (t) => {
  const issuer = await startIssuer(t);
  const old = await issuer.list();
  issuer.now += 10_000;
  issuer.revoke(3);
  const guard = await openGuard(issuer.config());
  t.after(() => guard.close());
  const token = await issuer.token();
  const status = () => statusOf(guard, token);
  await until(async () => (await status()) === 401);
  let sent = 0;
  issuer.respond = (response) => response.end(old, () => sent++);
  await until(() => sent > 2);
  assert.equal(await status(), 401);
});

/** Returns a published list with bits set, issued at a time in seconds. */
function published(seconds, ...set) {
  const bytes = Buffer.alloc(2);
  for (const i of set) bytes[i >> 3] |= 1 << (i & 7);
  return { list: new List(bytes), key, etag: '', issued: 1000 * seconds, expiresAt: 1e9, ttl: 1000 };
}

const key = new Key({
  id: '1', algorithm: 'EdDSA', audience: '', signsFrom: 0, verifiesUntil: Infinity, hasPrivate: false,
  verificationKey: /** @type {any} */ (undefined), material: 'x',
});
const ring = new Ring([key]);

test('lists of several servers are merged', () => {
  const one = { lists: [published(100, 1)], confirmed: 0 };
  const revokedIn = (copy) => copy.lists.map(({ list }) => [1, 2, 3].filter((i) => list.revoked(i)));
  assert.deepEqual(revokedIn(merge(one, published(101, 2), ring, 101_000)), [[2], [1]]);
  assert.deepEqual(revokedIn(merge(one, published(99, 2), ring, 101_000)), [[1], [2]]);
  assert.deepEqual(revokedIn(merge(one, published(101, 1, 2), ring, 101_000)), [[1, 2]]);
  assert.deepEqual(revokedIn(merge(one, published(106, 2), ring, 106_000)), [[2]]);
  assert.equal(merge(one, published(94, 2), ring, 101_000), undefined);
  assert.deepEqual(revokedIn(merge(one, published(50, 2), ring, 50_000)), [[2]], 'the clock was set back');
  assert.deepEqual(revokedIn(merge(one, published(94, 2), new Ring([]), 101_000)), [[2]], 'its key has ended');
});

test('how often a list is fetched', () => {
  const of = (more) => pauseOf({ lists: [{ ...published(0), ...more }], confirmed: 0 }, 0);
  assert.equal(of({ ttl: 1000 }), 500);
  assert.equal(of({ ttl: 0 }), 60_000);
  assert.equal(of({ ttl: 60_000, expiresAt: 10_000 }), 5_000);
  assert.equal(of({ ttl: 1 }), 100);
});
