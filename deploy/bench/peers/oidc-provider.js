// An authorization server with oidc-provider and its store in memory. Access tokens are JWTs with HS256.
import { createSecretKey, randomBytes } from 'node:crypto'
import Provider from 'oidc-provider'
import { version } from './version.js'

await version('oidc-provider')

const port = Number(process.argv[2])
const api = 'http://127.0.0.1:8000'
const key = createSecretKey(randomBytes(32))

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'service',
    client_secret: process.argv[3] ?? 'unused',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'items:read',
  }, {
    client_id: 'demo',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token', 'password'],
    redirect_uris: ['https://app.example/callback'],
    scope: 'openid offline_access items:read',
  }],
  scopes: ['openid', 'offline_access', 'items:read'],
  rotateRefreshToken: true,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { AccessToken: 1800, ClientCredentials: 1800, RefreshToken: 86400, Grant: 86400 },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => api,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'items:read',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'HS256', key } },
      }),
    },
  },
})

// A login, which checks no password, to get refresh tokens without a browser.
provider.registerGrantType('password', async ctx => {
  const { client } = ctx.oidc
  const grant = new provider.Grant({ accountId: 'john.doe', clientId: client.clientId })
  grant.addOIDCScope('openid offline_access')
  grant.addResourceScope(api, 'items:read')
  const grantId = await grant.save()
  const token = new provider.RefreshToken({
    accountId: 'john.doe', client, grantId, gty: 'password', resource: api, rotations: 0,
    scope: 'offline_access items:read',
  })
  ctx.body = { access_token: 'none', token_type: 'Bearer', refresh_token: await token.save() }
}, ['username', 'password'])

provider.listen(port, '127.0.0.1')
