// The test vectors that the kits of all languages pass: see ../../vectors/README.md.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openGuard } from '@hallpass-auth/kit';
import { decodeList } from '../src/statuslist.js';
import { until } from './issuer.js';

const vectors = JSON.parse(await readFile(new URL('../../vectors/vectors.json', import.meta.url), 'utf8'));
const { issuer, audience, metadata } = vectors;

let server, origin, folder;
const published = new Map(); // JWK Sets by path

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-vectors-'));
  server = createServer((request, response) => {
    const [, kind, name] = decodeURIComponent(request.url).split('/');
    const body = kind === 'lists' ? vectors.lists[name] : published.get(name);
    response.writeHead(body ? 200 : 404).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${server.address().port}`;
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

/** Returns the part of a configuration that names a source of keys. */
async function sourceOf(name, { kind, set, secret }) {
  switch (kind) {
    case 'secret':
      return { tokenSecret: secret };
    case 'url':
      published.set(name, set);
      return { keysUrl: `${origin}/keys/${encodeURIComponent(name)}` };
  }
  const keysFile = join(folder, `${encodeURIComponent(name)}.json`);
  await writeFile(keysFile, set, { mode: 0o600 });
  return { keysFile };
}

/** Opens a guard that is closed at the end of the test. */
async function guardOf(t, config) {
  const guard = await openGuard({ issuer, audience, log: () => {}, ...config });
  t.after(() => guard.close());
  return guard;
}

/** Returns claims in the form of the vectors. */
function wireOf(claims) {
  const seconds = (date) => date.getTime() / 1000;
  const { index, uri } = claims.status ?? {};
  const all = {
    iss: claims.issuer, sub: claims.subject, aud: claims.audience, client_id: claims.clientId, jti: claims.id,
    iat: seconds(claims.issuedAt), exp: seconds(claims.expiresAt),
    scope: claims.scope, preferred_username: claims.username, name: claims.name, groups: claims.groups,
    actors: claims.actors, acr: claims.acr || undefined, amr: claims.methods,
    auth_time: claims.authTime && seconds(claims.authTime), is_user: claims.isUser,
    status: claims.status && { idx: index, uri },
  };
  return JSON.parse(JSON.stringify(all)); // without the members that are undefined
}

/** Returns what a route needs of the login. */
function loginOf({ login }) {
  return login && { acrValues: login.acr_values, maxAge: login.max_age };
}

const concurrent = { concurrency: 16 };

describe('requests', concurrent, () => {
  for (const c of vectors.cases) {
    test(c.name, async (t) => {
      const source = { ...vectors.keys[c.keys], set: JSON.stringify(vectors.keys[c.keys].set) };
      const guard = await guardOf(t, {
        ...(await sourceOf(c.keys, source)),
        statusListsUrl: `${origin}/lists/${encodeURIComponent(c.list)}`,
        scopeIncludes: c.scope_includes,
        now: () => 1000 * c.now,
      });
      const served = guard.metadata(metadata.scopes);
      assert.equal(served.path, metadata.path);
      assert.deepEqual(JSON.parse(served.respond('GET').body), JSON.parse(metadata.body));
      const request = { authorization: c.authorization ?? [], url: `/?${c.query ?? ''}` };
      const ask = () => guard.authenticate(request, c.scopes ?? [], { onlyUsers: c.user, login: loginOf(c) });
      let got = await ask();
      // On a busy machine, keys or a list may take longer than a request waits.
      if (c.want.status !== 503) await until(async () => (got = await ask()).refusal?.status !== 503);

      const { refusal, claims } = got;
      assert.equal(refusal?.status ?? 200, c.want.status, refusal?.body);
      assert.deepEqual(claims && wireOf(claims), c.want.claims);
      assert.equal(refusal?.headers['WWW-Authenticate'], c.want.www_authenticate);
      assert.equal(refusal?.headers['Retry-After'], c.want.retry_after);
      if (c.want.body) assert.deepEqual(JSON.parse(refusal.body), JSON.parse(c.want.body));
    });
  }
});

describe('JWK Sets', concurrent, () => {
  for (const { name, kind, set, usable } of vectors.key_sets) {
    test(`${kind}: ${name}`, async (t) => {
      const source = await sourceOf(`set ${name}`, { kind, set });
      let error;
      try {
        const guard = await guardOf(t, { ...source, now: () => 1000 * vectors.cases[0].now });
        await until(() => !guard.notReady() || guard.stats().keys.error);
        error = guard.stats().keys.error;
      } catch (refused) {
        error = refused.message;
      }
      assert.equal(!error, usable, error);
    });
  }
});

describe('status lists', () => {
  for (const { name, lst, valid, size = 0, set = [] } of vectors.bits) {
    test(name, () => {
      if (!valid) return assert.throws(() => decodeList(lst));
      const list = decodeList(lst);
      assert.equal(list.size, size);
      const found = Array.from({ length: size }, (_, i) => i).filter((i) => list.revoked(i));
      assert.deepEqual(found, set);
    });
  }
});
