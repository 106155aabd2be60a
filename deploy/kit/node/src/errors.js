/** A field of the configuration is wrong. */
export class ConfigError extends Error {
  /**
   * @param {string} field
   * @param {string} reason what is wrong with it, without a secret
   */
  constructor(field, reason) {
    super(`${field}: ${reason}`);
    this.name = 'ConfigError';
    this.field = field;
  }
}

/** A token must not be accepted, now or later. */
export class InvalidToken extends Error {}

/** A token cannot be checked now: its key or its status list is not known yet, or no longer. */
export class Unavailable extends Error {}

/**
 * Returns the message of something that was thrown.
 *
 * @param {unknown} error
 */
export function messageOf(error) {
  if (!(error instanceof Error)) return String(error);
  // fetch() puts the reason into the cause of "fetch failed".
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
