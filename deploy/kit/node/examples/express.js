import express from 'express';
import { openGuard } from '@hallpass-auth/kit';
import { claimsOf, protect, protectUser, serveMetadata } from '@hallpass-auth/kit/express';

const { env } = process;
const guard = await openGuard({
  issuer: env.HALLPASS_ISSUER ?? 'http://127.0.0.1:9000',
  audience: env.HALLPASS_AUDIENCE ?? 'http://127.0.0.1:8000',
  keysFile: env.HALLPASS_KEYS_FILE,
  keysUrl: env.HALLPASS_KEYS_URL,
  statusListsUrl: env.HALLPASS_STATUS_LISTS_URL,
});

const app = express();
serveMetadata(app, guard, 'items:read');

app.get('/items/:id', protect(guard, 'items:read'), (request, response) => {
  response.json({ id: request.params.id, owner: claimsOf(request).subject });
});
app.get('/me', protectUser(guard), (request, response) => {
  const { username, groups } = claimsOf(request);
  response.json({ username, groups });
});
app.get('/readyz', (_request, response) => {
  const reason = guard.notReady();
  response.status(reason ? 503 : 200).send(reason ?? 'ready');
});

app.listen(Number(env.PORT ?? 8080), '127.0.0.1');
