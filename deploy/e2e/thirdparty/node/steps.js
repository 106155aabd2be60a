// What the programs of this folder share: they are told about the servers in SYSTEM, say on
// standard output what they saw succeed, and ask whoever started them for a browser.

import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'

// system is {issuer, api, redirectURI, secrets by client id}.
export const system = JSON.parse(process.env.SYSTEM)

// The demo's user.
export const user = { username: 'john.doe', password: 'securepassword' }

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

// saw reports a step that succeeded.
export function saw(step) {
  console.log('saw ' + step)
}

// browse has a browser open url, log in, and allow or deny what the client asks for. It returns
// the URL at which the browser came back to the client.
export async function browse(decision, url) {
  console.log(`${decision} ${url}`)
  const { value } = await answers.next()
  return new URL(value)
}

// fails checks that a promise is rejected with an OAuth error code and, if given, an HTTP status.
export async function fails(promise, code, status) {
  await assert.rejects(promise, (err) => {
    assert.equal(err.error, code, err.stack)
    if (status !== undefined) {
      assert.equal(err.status, status)
    }
    return true
  })
}

// done ends the program: a reader of standard input would keep it alive.
export function done() {
  process.stdin.destroy()
}
