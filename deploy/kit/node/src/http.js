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
   * @param {{headers?: Record<string, string>, silence?: number, timeout: number, limit: number}} options silence is
   *   how long the server may send nothing, by default as long as the whole request may take; limit is in bytes
   */
  async get(url, { headers, timeout, silence = timeout, limit }) {
    const controller = new AbortController();
    this.#current = controller;
    if (this.closed) controller.abort();
    const timer = setTimeout(() => controller.abort(new Error('the response takes too long')), timeout);
    const silent = setTimeout(() => controller.abort(new Error('there was no response in time')), silence);
    timer.unref();
    silent.unref();
    try {
      const response = await fetch(url, { headers, redirect: 'manual', signal: controller.signal });
      const etag = response.headers.get('etag') ?? '';
      const body = await readBody(response, limit, () => silent.refresh());
      return { unchanged: response.status === 304, etag, body };
    } finally {
      clearTimeout(timer);
      clearTimeout(silent);
    }
  }
}

/**
 * Returns the body of a response, which is empty with the status 304.
 *
 * @param {Response} response
 * @param {number} limit
 * @param {() => void} heard is called for each part of the body
 */
async function readBody(response, limit, heard) {
  const chunks = [];
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    if (response.status === 304) return Buffer.alloc(0);
    throw new Error(`the response is ${response.status} ${response.statusText}`.trimEnd());
  }
  let length = 0;
  heard();
  for await (const chunk of response.body) { // leaving the loop cancels the response
    heard();
    length += chunk.length;
    if (length > limit) throw new Error('the response is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
