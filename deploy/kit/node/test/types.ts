// Checked by tsc, never run: the declarations describe the code, and fit the frameworks.
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import * as kit from '@hallpass-auth/kit';
import * as forExpress from '@hallpass-auth/kit/express';
import * as forFastify from '@hallpass-auth/kit/fastify';
import * as forHono from '@hallpass-auth/kit/hono';
import * as code from '../src/index.js';
import * as expressCode from '../src/express.js';
import * as fastifyCode from '../src/fastify.js';
import * as honoCode from '../src/hono.js';

export const declared: [typeof kit, typeof forExpress, typeof forFastify, typeof forHono] =
  [code, expressCode, fastifyCode, honoCode];

export const guard: kit.Guard = await kit.openGuard({
  issuer: 'https://login.example', audience: 'https://api.example', keysFile: 'keys.json',
  log: (level, message, fields) => console.log(level, message, fields),
});

const one = express();
forExpress.serveMetadata(one, guard, 'items:read');
one.get('/items/:id', forExpress.protect(guard, 'items:read'), (request, response) => {
  response.json({ id: request.params.id, owner: forExpress.claimsOf(request).subject });
});

const login: kit.Login = { acrValues: ['2'], maxAge: 300 };
one.post('/items', forExpress.protectLogin(guard, login, 'items:write'), (request, response) => {
  response.json({ at: forExpress.claimsOf(request).authTime?.getTime() });
});

const two = Fastify();
forFastify.serveMetadata(two, guard, 'items:read');
two.get<{ Params: { id: string } }>('/items/:id', { onRequest: forFastify.protect(guard, 'items:read') },
  async (request) => ({ id: request.params.id, owner: forFastify.claimsOf(request).subject }));

const three = new Hono<{ Variables: { other: number } }>();
forHono.serveMetadata(three, guard, 'items:read');
three.get('/items/:id', forHono.protectUser(guard, 'items:read'), (c) =>
  c.json({ id: c.req.param('id'), owner: forHono.claimsOf(c).subject }));

const { claims, refusal } = await guard.authenticate({ authorization: [], url: '/' });
export const summary: string = claims ? claims.scope.join() : refusal.headers['WWW-Authenticate'];

// @ts-expect-error the issuer is missing
await kit.openGuard({ audience: 'https://api.example', keysFile: 'keys.json' });
// @ts-expect-error claims are frozen
claims?.scope.push('admin');
