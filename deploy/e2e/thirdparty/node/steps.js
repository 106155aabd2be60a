// Shared by the programs in this folder. The environment variable SYSTEM describes the servers. The
// programs report steps that succeeded on standard output. They ask there for a browser, too, and read the
// response from standard input.

import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'

// system is {issuer, api, redirectURI, algorithm, secrets: {client id: secret}, signer: {jwk, kid}}.
export const system = JSON.parse(process.env.SYSTEM)

// user is a demo user.
export const user = { username: 'john.doe', password: 'securepassword' }

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

// saw reports a step that succeeded.
export function saw(step) {
  console.log('saw ' + step)
}

// browse makes a browser open url, log in, and allow or deny the request. It returns the URL of the
// callback.
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

// done ends the program, which an open standard input would keep running.
export function done() {
  process.stdin.destroy()
}
