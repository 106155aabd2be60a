/** @typedef {import('../types/index.d.ts').Log} Log */

const interval = 60_000; // between two refusals that are logged at level info, in milliseconds

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
 * Returns a function that logs why a token was refused: one refusal a minute at level info, the others at level debug.
 * An API that is not set up right refuses every token, and its log should say why. But clients must not be able to
 * fill the log, and expired tokens are routine.
 *
 * @param {Log} log
 * @returns {(reason: string) => void}
 */
export function refusalLog(log) {
  let last = -Infinity;
  let more = 0;
  return (reason) => {
    const now = performance.now();
    if (now - last < interval) {
      more++;
      return log('debug', 'access token refused', { reason });
    }
    log('info', 'access token refused', { reason, more_refused_before: more });
    last = now;
    more = 0;
  };
}
