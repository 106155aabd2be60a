import { leeway } from './verifier.js';

/** @typedef {import('./statuslist.js').Published} Published */

/**
 * The difference of iat up to which two published lists count as issued at the same time. Servers read revocations
 * at different moments, their clocks differ, and iat has a resolution of one second.
 */
const overlap = leeway;

const interval = 60_000; // between two fetches of a list without a ttl
export const minInterval = 100; // between two fetches, whatever the ttl

/**
 * What is known of a list: the latest published list, followed by those issued less than overlap before it that have
 * other revocations. A token is revoked if any of them says so. A server that lags behind therefore cannot undo a
 * revocation that another one has published.
 *
 * @typedef {object} Copy
 * @property {Published[]} lists at least one, and about one for each server
 * @property {number} confirmed when the last one was fetched or found unchanged
 */

/**
 * Returns how long to wait before the next fetch: half the ttl or half the time until exp, whichever is shorter.
 *
 * @param {Copy} copy
 * @param {number} now
 */
export function pauseOf({ lists: [latest] }, now) {
  const pause = latest.ttl ? latest.ttl / 2 : interval;
  return Math.max(Math.min(pause, (latest.expiresAt - now) / 2), minInterval);
}

/**
 * Returns why a published list must not be used, or undefined.
 *
 * @param {Published} list
 * @param {import('./ring.js').Ring} ring
 * @param {number} now
 * @returns {'expired' | 'key ended' | undefined}
 */
export function unusable(list, ring, now) {
  if (now >= list.expiresAt + leeway) return 'expired';
  const key = ring.verifier(list.key.id, now);
  return key?.equals(list.key) ? undefined : 'key ended';
}

/**
 * Adds a published list to the previous copy. It returns undefined if the list is older than the copy. A previous
 * copy that is unusable or from the future is ignored.
 *
 * @param {Copy | undefined} before
 * @param {Published} next
 * @param {import('./ring.js').Ring} ring
 * @param {number} now
 * @returns {Copy | undefined}
 */
export function merge(before, next, ring, now) {
  const published = [next];
  if (before && before.lists[0].issued <= now + leeway && !unusable(before.lists[0], ring, now)) {
    published.push(...before.lists);
  }
  published.sort((a, b) => b.issued - a.issued); // stable
  const latest = published[0];
  if (latest.issued - next.issued > overlap) return undefined;
  const lists = [latest];
  for (const p of published.slice(1)) {
    if (latest.issued - p.issued <= overlap && !p.list.subsetOf(lists.map((kept) => kept.list))) lists.push(p);
  }
  return { lists, confirmed: now };
}
