/**
 * Returns a function that reports whether granted scopes have a wanted one, or include it.
 *
 * @param {Record<string, string[]>} includes the scopes that a scope includes, which include others in turn
 * @returns {(granted: readonly string[], wanted: string) => boolean}
 */
export function scopeCheck(includes) {
  const all = new Map(Object.keys(includes).map((scope) => [scope, closure(scope, includes)]));
  return (granted, wanted) => granted.includes(wanted) || granted.some((scope) => all.get(scope)?.has(wanted));
}

/**
 * @param {string} scope
 * @param {Record<string, string[]>} includes
 */
function closure(scope, includes) {
  const found = new Set([scope]);
  for (const next of found) { // found grows
    for (const included of includes[next] ?? []) found.add(included);
  }
  return found;
}
