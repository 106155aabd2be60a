// Calls the tools of an MCP server through @modelcontextprotocol/sdk, from nothing but the server's URL.

import assert from 'node:assert/strict'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { browse, done, saw, system } from './steps.js'

// Store is what the SDK keeps of a client. Without the URL of a metadata document, the client registers itself.
class Store {
  constructor(clientMetadataUrl) {
    this.clientMetadataUrl = clientMetadataUrl
  }
  get redirectUrl() {
    return system.redirectURI
  }
  get clientMetadata() {
    return {
      client_name: 'An agent of npm',
      redirect_uris: [system.redirectURI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }
  }
  clientInformation() {
    return this.information
  }
  saveClientInformation(information) {
    this.information = information
  }
  tokens() {
    return this.saved
  }
  saveTokens(tokens) {
    this.saved = tokens
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier
  }
  codeVerifier() {
    return this.verifier
  }
  redirectToAuthorization(url) {
    this.asked = url
  }
}

// connect returns a connected client and its transport.
async function connect(store) {
  const transport = new StreamableHTTPClientTransport(new URL(system.mcp), { authProvider: store })
  const client = new Client({ name: 'agent', version: '1' })
  try {
    await client.connect(transport)
  } catch (err) {
    if (!(err instanceof UnauthorizedError)) {
      throw err
    }
    await logIn(store, transport)
    return connect(store)
  }
  return { client, transport }
}

// logIn sends the user to the URL that the SDK wants to be opened.
async function logIn(store, transport) {
  const back = await browse('allow', store.asked.href)
  assert.ok(back.searchParams.has('code'), `${store.asked} led to ${back}`)
  await transport.finishAuth(back.searchParams.get('code'))
}

async function call(client, name, args = {}) {
  const result = await client.callTool({ name, arguments: args })
  assert.ok(!result.isError, JSON.stringify(result))
  return result.structuredContent
}

for (const [name, document] of [['dynamic registration', undefined], ['metadata document', system.document]]) {
  const store = new Store(document)
  const { client, transport } = await connect(store)
  assert.equal(store.asked.searchParams.get('scope'), 'notes:read')
  assert.equal(store.asked.searchParams.get('resource'), system.mcp)
  assert.match(store.asked.searchParams.get('client_id'), document ? /^https:/ : /^dyn-/)
  assert.equal(store.saved.scope, 'notes:read')
  assert.deepEqual((await client.listTools()).tools.map((tool) => tool.name), ['read_note', 'write_note'])
  await call(client, 'read_note')
  saw(`${name}: read_note`)

  const first = store.saved
  store.saved = { ...first, access_token: 'x' }
  await call(client, 'read_note')
  assert.notEqual(store.saved.access_token, 'x')
  assert.notEqual(store.saved.refresh_token, first.refresh_token)
  saw(`${name}: refresh`)

  // The tool needs another scope, which the response names. The SDK asks the user for it only if it has no refresh
  // token: else it refreshes, gets the same scope, and gives up.
  delete store.saved.refresh_token
  await assert.rejects(call(client, 'write_note', { text: name }), UnauthorizedError)
  await logIn(store, transport)
  assert.equal(store.saved.scope, 'notes:read notes:write')
  await call(client, 'write_note', { text: name })
  assert.deepEqual(await call(client, 'read_note'), { text: name })
  saw(`${name}: write_note`)
  await client.close()
}

done()
