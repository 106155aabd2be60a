import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { openGuard } from '@hallpass-auth/kit';
import { claimsOf, protect, protectUser, serveMetadata } from '@hallpass-auth/kit/hono';

const { env } = process;
const guard = await openGuard({
  issuer: env.HALLPASS_ISSUER ?? 'http://127.0.0.1:9000',
  audience: env.HALLPASS_AUDIENCE ?? 'http://127.0.0.1:8000',
  keysFile: env.HALLPASS_KEYS_FILE,
  keysUrl: env.HALLPASS_KEYS_URL,
  statusListsUrl: env.HALLPASS_STATUS_LISTS_URL,
});

const app = new Hono();
serveMetadata(app, guard, 'items:read');

app.get('/items/:id', protect(guard, 'items:read'), (c) => {
  return c.json({ id: c.req.param('id'), owner: claimsOf(c).subject });
});
app.get('/me', protectUser(guard), (c) => {
  const { username, groups } = claimsOf(c);
  return c.json({ username, groups });
});
app.get('/readyz', (c) => {
  const reason = guard.notReady();
  return c.text(reason ?? 'ready', reason ? 503 : 200);
});

serve({ fetch: app.fetch, port: Number(env.PORT ?? 8080), hostname: '127.0.0.1' });
