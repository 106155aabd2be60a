/**
 * The requests of a loop in the background, one at a time.
 *
 * Each request has an AbortController of its own: in Node.js 20, signals that AbortSignal.any derives from one that
 * lives long are never freed.
 */
export class Requests {
  /** @type {AbortController | undefined} */
  #current;
  closed = false;

  /** Aborts the request that is under way, and all later ones. */
  close() {
    this.closed = true;
    this.#current?.abort();
  }

  /**
   * Sends a GET request and reads the response. A status other than 200 and 304 is an error, also a redirect.
   *
   * @param {string} url
   * @param {{headers?: Record<string, string>, timeout: number, limit: number}} options limit is in bytes
   */
  async get(url, { headers, timeout, limit }) {
    const controller = new AbortController();
    this.#current = controller;
    if (this.closed) controller.abort();
    const timer = setTimeout(() => controller.abort(new Error('there was no response in time')), timeout);
    timer.unref();
    try {
      const response = await fetch(url, { headers, redirect: 'manual', signal: controller.signal });
      const etag = response.headers.get('etag') ?? '';
      return { unchanged: response.status === 304, etag, body: await readBody(response, limit) };
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Returns the body of a response, which is empty with the status 304.
 *
 * @param {Response} response
 * @param {number} limit
 */
async function readBody(response, limit) {
  const chunks = [];
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    if (response.status === 304) return Buffer.alloc(0);
    throw new Error(`the response is ${response.status} ${response.statusText}`.trimEnd());
  }
  let length = 0;
  for await (const chunk of response.body) { // leaving the loop cancels the response
    length += chunk.length;
    if (length > limit) throw new Error('the response is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
