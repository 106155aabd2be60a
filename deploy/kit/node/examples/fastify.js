import Fastify from 'fastify';
import { openGuard } from '@hallpass-auth/kit';
import { claimsOf, protect, protectUser, serveMetadata } from '@hallpass-auth/kit/fastify';

const { env } = process;
const guard = await openGuard({
  issuer: env.HALLPASS_ISSUER ?? 'http://127.0.0.1:9000',
  audience: env.HALLPASS_AUDIENCE ?? 'http://127.0.0.1:8000',
  keysFile: env.HALLPASS_KEYS_FILE,
  keysUrl: env.HALLPASS_KEYS_URL,
  statusListsUrl: env.HALLPASS_STATUS_LISTS_URL,
});

const app = Fastify();
serveMetadata(app, guard, 'items:read');

app.get('/items/:id', { onRequest: protect(guard, 'items:read') }, async (request) => {
  return { id: request.params.id, owner: claimsOf(request).subject };
});
app.get('/me', { onRequest: protectUser(guard) }, async (request) => {
  const { username, groups } = claimsOf(request);
  return { username, groups };
});
app.get('/readyz', async (_request, reply) => {
  const reason = guard.notReady();
  return reply.code(reason ? 503 : 200).send(reason ?? 'ready');
});

await app.listen({ port: Number(env.PORT ?? 8080), host: '127.0.0.1' });
