import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { Requests } from '../src/http.js';

/** Starts a server that sends a byte again and again, or nothing, and returns its URL. */
async function startServer(t, pause) {
  const timers = [];
  const server = createServer((_request, response) => {
    if (pause) timers.push(setInterval(() => response.write('x'), pause));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    timers.forEach(clearInterval);
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}/`;
}

test('a silent server is given up, although the whole response may take longer', async (t) => {
  const url = await startServer(t);
  await assert.rejects(new Requests().get(url, { silence: 100, timeout: 600_000, limit: 1 << 20 }),
    /no response in time/);
});

test('a server that sends without end is given up', async (t) => {
  const url = await startServer(t, 10);
  await assert.rejects(new Requests().get(url, { silence: 600_000, timeout: 300, limit: 1 << 20 }), /takes too long/);
});
