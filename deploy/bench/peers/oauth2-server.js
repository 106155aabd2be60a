// An authorization server with @node-oauth/oauth2-server and a store in memory. Its tokens are opaque.
import { createServer } from 'node:http'
import OAuth2Server from '@node-oauth/oauth2-server'
import { version } from './version.js'

await version('@node-oauth/oauth2-server')

const clients = {
  demo: { id: 'demo', grants: ['password', 'refresh_token'] },
  service: { id: 'service', secret: process.argv[3], grants: ['client_credentials'] },
}
const refreshTokens = new Map()

const oauth = new OAuth2Server({
  requireClientAuthentication: { password: false, refresh_token: false },
  model: {
    async getClient(id, secret) {
      const client = clients[id]
      return client && (!client.secret || client.secret === secret) ? client : null
    },
    async getUser() { return { id: 'john.doe' } },
    async getUserFromClient(client) { return { id: client.id } },
    async validateScope() { return ['items:read'] },
    async saveToken(token, client, user) {
      const saved = { ...token, client, user }
      if (token.refreshToken) refreshTokens.set(token.refreshToken, saved)
      return saved
    },
    async getRefreshToken(text) { return refreshTokens.get(text) },
    async revokeToken(token) { return refreshTokens.delete(token.refreshToken) },
  },
})

async function readBody(incoming) {
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk
  return Object.fromEntries(new URLSearchParams(text))
}

createServer(async (incoming, outgoing) => {
  const { method, headers } = incoming
  const response = new OAuth2Server.Response()
  try {
    const body = await readBody(incoming)
    await oauth.token(new OAuth2Server.Request({ method, headers, body, query: {} }), response)
  } catch (error) {
    response.status = error.code ?? 500
    response.body = { error: error.name, error_description: error.message }
  }
  outgoing.writeHead(response.status, { ...response.headers, 'content-type': 'application/json' })
  outgoing.end(JSON.stringify(response.body))
}).listen(Number(process.argv[2]), '127.0.0.1')
