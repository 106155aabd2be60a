// An API for bench.js: node app.js FRAMEWORK kit|jose. It prints its port and a token.
import { once } from 'node:events';
import { serve } from '@hono/node-server';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { openGuard } from '@hallpass-auth/kit';
import * as forExpress from '@hallpass-auth/kit/express';
import * as forFastify from '@hallpass-auth/kit/fastify';
import * as forHono from '@hallpass-auth/kit/hono';
import { Issuer, audience } from '../test/issuer.js';

const issuer = new Issuer();
await issuer.start();
const guard = await openGuard(issuer.config({ now: Date.now }));
const keys = createRemoteJWKSet(new URL(`${issuer.url}/jwks.json`));

/** Verifies a token as the documentation of jose says. It knows nothing of revocation. */
async function verify(authorization = '') {
  const options = { issuer: issuer.url, audience, typ: 'at+jwt' };
  const { payload } = await jwtVerify(authorization.replace('Bearer ', ''), keys, options);
  if (!String(payload.scope).split(' ').includes('items:read')) throw new Error('the scope is missing');
  return payload;
}

const apps = {
  async express(withKit) {
    const app = express();
    const byJose = (req, res, next) => verify(req.headers.authorization)
      .then((claims) => { req.claims = claims; next(); }, () => res.status(401).end());
    app.get('/items', withKit ? forExpress.protect(guard, 'items:read') : byJose,
      (req, res) => res.json({ sub: withKit ? forExpress.claimsOf(req).subject : req.claims.sub }));
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  },
  async fastify(withKit) {
    const app = Fastify();
    const byJose = async (request, reply) => {
      try {
        request.claims = await verify(request.headers.authorization);
      } catch {
        return reply.code(401).send();
      }
    };
    app.get('/items', { onRequest: withKit ? forFastify.protect(guard, 'items:read') : byJose },
      async (request) => ({ sub: withKit ? forFastify.claimsOf(request).subject : request.claims.sub }));
    await app.listen({ port: 0, host: '127.0.0.1' });
    return app.server;
  },
  async hono(withKit) {
    const app = new Hono();
    const byJose = async (c, next) => {
      try {
        c.set('claims', await verify(c.req.header('authorization')));
      } catch {
        return c.body(null, 401);
      }
      await next();
    };
    app.get('/items', withKit ? forHono.protect(guard, 'items:read') : byJose,
      (c) => c.json({ sub: withKit ? forHono.claimsOf(c).subject : c.get('claims').sub }));
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
    await once(server, 'listening');
    return server;
  },
};

const [framework, way] = process.argv.slice(2);
const server = await apps[framework](way === 'kit');
console.log(server.address().port, await issuer.token());
