// Requests per second of each framework with the kit, and with jose alone. It needs wrk and takes half a minute:
//
//   node bench/bench.js
//
// Rounds of both alternate; the best of each counts.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const rounds = 3;
const seconds = 2;
const app = fileURLToPath(new URL('app.js', import.meta.url));

/** Starts an API and returns a function that measures its requests per second. */
async function start(framework, way) {
  const args = ['--no-warnings', app, framework, way];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  const [port, token] = String(line).trim().split(' ');
  const measure = async () => {
    const load = ['-t1', '-c16', `-d${seconds}s`, '-H', `Authorization: Bearer ${token}`];
    const { stdout } = await promisify(execFile)('wrk', [...load, `http://127.0.0.1:${port}/items`]);
    if (/Non-2xx/.test(stdout)) throw new Error(stdout);
    return Number(/Requests\/sec: +([\d.]+)/.exec(stdout)[1]);
  };
  return { measure, stop: () => child.kill() };
}

for (const framework of ['express', 'fastify', 'hono']) {
  const apis = { kit: await start(framework, 'kit'), jose: await start(framework, 'jose') };
  const best = { kit: 0, jose: 0 };
  for (let i = 0; i < rounds; i++) {
    for (const way of ['jose', 'kit']) best[way] = Math.max(best[way], await apis[way].measure());
  }
  for (const api of Object.values(apis)) api.stop();
  const ratio = (best.kit / best.jose).toFixed(2);
  console.log(`${framework}: kit ${Math.round(best.kit)}/s, jose alone ${Math.round(best.jose)}/s, ratio ${ratio}`);
}
