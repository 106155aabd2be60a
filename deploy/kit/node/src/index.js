export { ConfigError } from './errors.js';
export { openGuard } from './guard.js';
export { fromFetch, fromNode } from './credentials.js';
export { metadataURL } from './metadata.js';
