/** @typedef {import('../types/index.d.ts').Log} Log */

const interval = 60_000; // between two reasons that are logged above level debug, in milliseconds

/**
 * The log of a program that gives none: lines on standard error, without those of level debug.
 *
 * @type {Log}
 */
export function stderrLog(level, message, fields) {
  if (level === 'debug') return;
  const texts = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  console.error(`hallpass: ${level}: ${message} ${texts.join(' ')}`.trimEnd());
}

/**
 * Returns a log that never throws: an error of the program's log must not end the work in the background.
 *
 * @param {Log} log
 * @returns {Log}
 */
export function quiet(log) {
  return (level, message, fields) => {
    try {
      log(level, message, fields);
    } catch (error) {
      console.error('hallpass: the log failed:', error);
    }
  };
}

/**
 * Returns a function that logs why tokens are not accepted: one reason a minute at the level, the others at level debug.
 * An API that is not set up right refuses every token, and its log should say why. But clients must not be able to
 * fill the log, and expired tokens are routine.
 *
 * @param {Log} log
 * @param {'info' | 'warn' | 'error'} level
 * @param {string} message
 * @param {string} counter the field with the number of reasons that were logged at level debug since the last one
 * @returns {(reason: string) => void}
 */
export function reasonLog(log, level, message, counter) {
  let last = -Infinity;
  let more = 0;
  return (reason) => {
    const now = performance.now();
    if (now - last < interval) {
      more++;
      return log('debug', message, { reason });
    }
    log(level, message, { reason, [counter]: more });
    last = now;
    more = 0;
  };
}
