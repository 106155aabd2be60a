import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { serve } from '@hono/node-server';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { openGuard } from '@hallpass-auth/kit';
import * as forExpress from '@hallpass-auth/kit/express';
import * as forFastify from '@hallpass-auth/kit/fastify';
import * as forHono from '@hallpass-auth/kit/hono';
import { startIssuer, until } from './issuer.js';

/** What the route /pay needs (RFC 9470). */
const login = { acrValues: ['2'], maxAge: 300 };

/** Each starts an API with the same routes, and returns its port and what stops it. */
const frameworks = {
  async Express(guard) {
    const app = express();
    forExpress.serveMetadata(app, guard, 'items:write', 'items:read');
    const sub = (req, res) => res.json({ sub: forExpress.claimsOf(req).subject });
    app.get('/items', forExpress.protect(guard, 'items:read'), sub);
    app.get('/me', forExpress.protectUser(guard), sub);
    app.get('/pay', forExpress.protectLogin(guard, login, 'items:read'), sub);
    app.get('/open', sub);
    app.use((_error, _req, res, _next) => res.status(500).end());
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { port: server.address().port, stop: () => server.close() };
  },
  async Fastify(guard) {
    const app = Fastify();
    forFastify.serveMetadata(app, guard, 'items:write', 'items:read');
    const sub = async (request) => ({ sub: forFastify.claimsOf(request).subject });
    app.get('/items', { onRequest: forFastify.protect(guard, 'items:read') }, sub);
    app.get('/me', { onRequest: forFastify.protectUser(guard) }, sub);
    app.get('/pay', { onRequest: forFastify.protectLogin(guard, login, 'items:read') }, sub);
    app.get('/open', sub);
    await app.listen({ port: 0, host: '127.0.0.1' });
    return { port: app.server.address().port, stop: () => app.close() };
  },
  async Hono(guard) {
    const app = new Hono();
    forHono.serveMetadata(app, guard, 'items:write', 'items:read');
    const sub = (c) => c.json({ sub: forHono.claimsOf(c).subject });
    app.get('/items', forHono.protect(guard, 'items:read'), sub);
    app.get('/me', forHono.protectUser(guard), sub);
    app.get('/pay', forHono.protectLogin(guard, login, 'items:read'), sub);
    app.get('/open', sub);
    app.onError((_error, c) => c.body(null, 500));
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
    await once(server, 'listening');
    return { port: server.address().port, stop: () => server.close() };
  },
};

/** Sends a request and returns its response with the body as text. */
function send(port, path, { method = 'GET', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, method, headers, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode, headers: response.headers, text });
    });
    sent.on('error', reject).end();
  });
}

test('a login that makes no sense', () => {
  for (const { protectLogin } of [forExpress, forFastify, forHono]) {
    for (const wrong of [{ acrValues: '2' }, { acrValues: ['1 2'] }, { acrValues: ['"'] }, { acrValues: [2] }]) {
      assert.throws(() => protectLogin({}, wrong), { name: 'ConfigError', field: 'acrValues' });
    }
    for (const maxAge of [0, -1, 1.5, NaN, '300']) {
      assert.throws(() => protectLogin({}, { maxAge }), { name: 'ConfigError', field: 'maxAge' });
    }
  }
});

for (const [name, start] of Object.entries(frameworks)) {
  test(name, async (t) => {
    const issuer = await startIssuer(t);
    const guard = await openGuard(issuer.config());
    const { port, stop } = await start(guard);
    t.after(() => {
      guard.close();
      return stop();
    });
    await until(() => !guard.notReady());
    const bearer = async (more) => ({ headers: { Authorization: `Bearer ${await issuer.token(more)}` } });
    const is = async (status, path, options, challenge) => {
      const got = await send(port, path, options);
      assert.equal(got.status, status, `${path}: ${got.text}`);
      if (challenge) assert.match(got.headers['www-authenticate'], challenge);
      return got;
    };

    const token = await bearer();
    await until(async () => (await send(port, '/items', token)).status !== 503); // on a busy machine
    await is(200, '/items', token);
    await is(200, '/me', await bearer());
    await is(401, '/me', await bearer({ sub: 'reporter' }), /invalid_token/);
    const challenge = /^Bearer realm="https:\/\/api.example", scope="items:read", resource_metadata=/;
    const none = await is(401, '/items', {}, challenge);
    assert.equal(none.headers['content-type'].split(';')[0], 'application/problem+json');
    assert.equal(none.headers['cache-control'], 'no-store');
    assert.deepEqual(JSON.parse(none.text), { title: 'Unauthorized', status: 401, detail: 'Not authenticated' });
    await is(403, '/items', await bearer({ scope: 'other' }), /insufficient_scope/);
    await is(400, '/items?access_token=x', await bearer(), /invalid_request/);
    const seconds = Math.floor(issuer.now / 1000);
    await is(200, '/pay', await bearer({ acr: '2', auth_time: seconds }));
    const stepUp = /error="insufficient_user_authentication".* acr_values="2", max_age="300"/;
    await is(401, '/pay', await bearer({ acr: '1', auth_time: seconds }), stepUp);
    await is(401, '/pay', await bearer({ acr: '2', auth_time: seconds - 3600 }), stepUp);
    await is(401, '/pay', await bearer({ sub: 'reporter' }), /invalid_token/);
    const { headers: { Authorization } } = await bearer();
    const twice = ['Host', 'x', 'Authorization', Authorization, 'authorization', Authorization];
    await is(400, '/items', { headers: twice }, /invalid_request/);
    await is(500, '/open', await bearer()); // claimsOf throws

    const path = '/.well-known/oauth-protected-resource';
    const metadata = await is(200, path);
    assert.deepEqual(JSON.parse(metadata.text), {
      resource: 'https://api.example', authorization_servers: [issuer.url],
      scopes_supported: ['items:read', 'items:write'], bearer_methods_supported: ['header'],
    });
    assert.equal(metadata.headers['access-control-allow-origin'], '*');
    assert.equal((await is(200, path, { method: 'HEAD' })).text, '');
    await is(204, path, { method: 'OPTIONS' });
    assert.equal((await is(405, path, { method: 'POST' })).headers.allow, 'GET, HEAD');

    issuer.down = true;
    issuer.now += 400_000;
    const unavailable = await is(503, '/items', { headers: { Authorization } });
    assert.equal(unavailable.headers['retry-after'], '1');
    assert.equal(unavailable.headers['www-authenticate'], undefined);
  });
}
