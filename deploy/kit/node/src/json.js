// Decodes the JSON and base64url of tokens and keys. Both refuse input that other programs could read
// differently.

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Returns the value of a JSON text in UTF-8. Two members of the same name in one object are an error (RFC 7519
 * section 4, RFC 7515 section 4, RFC 7517 section 4), and so are bytes and escapes that are no Unicode text
 * (RFC 8259 section 8.1). The error never quotes the input.
 *
 * @param {Uint8Array} bytes
 * @returns {unknown}
 */
export function parseJSON(bytes) {
  let text, value;
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
  checkStrings(text);
  return value;
}

/**
 * parseJSON for a text that must be an object.
 *
 * @param {Uint8Array} bytes
 * @returns {Record<string, unknown>}
 */
export function parseObject(bytes) {
  return object(parseJSON(bytes));
}

/**
 * Returns value if it is a JSON object.
 *
 * @param {unknown} value
 * @returns {Record<string, unknown>}
 */
export function object(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('it is not a JSON object');
  }
  return /** @type {Record<string, unknown>} */ (value);
}

/**
 * Throws if an object of a valid JSON text has two members of the same name, or if a string is no Unicode text.
 *
 * @param {string} text
 */
function checkStrings(text) {
  /** @type {(Set<string> | null)[]} the names of each open object, null for each open array */
  const open = [];
  let atName = false;
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case '{':
        open.push(new Set());
        atName = true;
        break;
      case '[':
        open.push(null);
        atName = false;
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        atName = open.at(-1) !== null;
        break;
      case ':':
        atName = false;
        break;
      case '"': {
        const end = endOfString(text, i);
        checkString(JSON.parse(text.slice(i, end + 1)), atName ? open.at(-1) : null);
        i = end;
      }
    }
  }
}

/**
 * Returns where the string that begins at start ends: the index of its closing quote.
 *
 * @param {string} text
 * @param {number} start
 */
function endOfString(text, start) {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

/**
 * @param {string} string
 * @param {Set<string> | null | undefined} names of the object that the string is a name in
 */
function checkString(string, names) {
  if (!string.isWellFormed()) throw new Error('it is not Unicode text');
  if (names?.has(string)) throw new Error('a member is repeated');
  names?.add(string);
}

/**
 * Returns the bytes of a base64url text without padding (RFC 7515 section 2). Unused bits at its end must be zero.
 *
 * @param {string} text
 */
export function decodeBase64url(text) {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new Error('it is not base64url without padding');
  return bytes;
}
