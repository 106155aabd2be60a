/**
 * The pause between two rounds of a background loop. Its timers do not keep the process running.
 */
export class Pause {
  #woken = false;
  #end = () => {};

  /** Ends the pause now; without one, the next pause ends as it begins. */
  wake() {
    this.#woken = true;
    this.#end();
  }

  /**
   * Waits, or returns early when woken.
   *
   * @param {number} ms
   * @returns {Promise<void>}
   */
  async sleep(ms) {
    if (!this.#woken) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        timer.unref();
        this.#end = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
      });
    }
    this.#woken = false;
    this.#end = () => {};
  }
}

/** Something that happens once. */
export class Signal {
  send = () => {};
  /** Resolves when it has happened. @type {Promise<void>} */
  sent = new Promise((resolve) => {
    this.send = resolve;
  });
}

/**
 * Waits, and meanwhile keeps the process running if keepAlive is set.
 *
 * @param {number} ms
 * @param {boolean} keepAlive
 * @returns {Promise<void>}
 */
export function sleep(ms, keepAlive) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    if (!keepAlive) timer.unref();
  });
}
