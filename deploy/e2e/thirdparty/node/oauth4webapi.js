// Uses the authorization server through oauth4webapi: as a client that knows only the API's address,
// and as an API that verifies access tokens.

import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { browse, done, fails, saw, system, user } from './steps.js'

// Plain http is allowed because the servers run on this machine.
const loopback = { [oauth.allowInsecureRequests]: true }

// The API's challenge names its metadata (RFC 9728 section 5.1), which names the authorization server.
const resource = new URL(system.api)
const challenge = await oauth.protectedResourceRequest('nonsense', 'GET', new URL('/users/me', resource), undefined, undefined, loopback)
  .then(() => assert.fail('the API accepted nonsense as a token'), (err) => err.cause[0])
assert.equal(challenge.parameters.error, 'invalid_token')
assert.equal(challenge.parameters.resource_metadata, new URL('/.well-known/oauth-protected-resource', resource).href)
const described = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, loopback))
assert.deepEqual(described.authorization_servers, [system.issuer])
assert.deepEqual(described.scopes_supported, ['items:read', 'profile'])
saw('protected-resource metadata')

const issuer = new URL(described.authorization_servers[0])
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...loopback })
const as = await oauth.processDiscoveryResponse(issuer, discovered)
assert.deepEqual(as.code_challenge_methods_supported, ['S256'])
assert.equal(as.authorization_response_iss_parameter_supported, true)
saw('discovery')

const demo = [{ client_id: 'demo' }, oauth.None()]
const web = [{ client_id: 'web' }, oauth.ClientSecretPost(system.secrets.web)]
const native = [{ client_id: 'native' }, oauth.None()]
const exchanger = [{ client_id: 'exchanger' }, oauth.ClientSecretBasic(system.secrets.exchanger)]
const inspector = [{ client_id: 'inspector' }, oauth.ClientSecretBasic(system.secrets.inspector)]

async function password(as, client, authentication, parameters) {
  const response = await oauth.genericTokenEndpointRequest(as, client, authentication, 'password', parameters, loopback)
  return oauth.processGenericTokenEndpointResponse(as, client, response)
}

async function refresh(client, authentication, token) {
  const response = await oauth.refreshTokenGrantRequest(as, client, authentication, token, loopback)
  return oauth.processRefreshTokenResponse(as, client, response)
}

async function introspect(token) {
  const response = await oauth.introspectionRequest(as, ...inspector, token, loopback)
  return oauth.processIntrospectionResponse(as, inspector[0], response)
}

async function callAPI(tokens, path) {
  const response = await oauth.protectedResourceRequest(tokens.access_token, 'GET', new URL(path, resource), undefined, undefined, loopback)
  assert.equal(response.status, 200)
  return response.json()
}

const login = await password(as, ...demo, user)
assert.equal((await callAPI(login, '/users/me')).full_name, 'John Doe')
saw('password')

await fails(password(as, ...demo, { ...user, password: 'wrong' }), 'invalid_grant', 400)
saw('wrong password refused')

const refreshed = await refresh(...demo, login.refresh_token)
assert.notEqual(refreshed.refresh_token, login.refresh_token)
await callAPI(refreshed, '/users/me')
saw('refresh')

for (const [name, authentication] of [['basic', oauth.ClientSecretBasic], ['post', oauth.ClientSecretPost]]) {
  const client = { client_id: 'service' }
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication(system.secrets.service), { scope: 'items:read' }, loopback)
  const tokens = await oauth.processClientCredentialsResponse(as, client, response)
  assert.equal((await callAPI(tokens, '/items/42')).item_id, 42)
  assert.equal((await introspect(tokens.access_token)).sub, 'service')
  saw(`client_credentials by ${name}`)
}

// authorize gets a code and redeems it. It pushes the request if push is set. It returns the token response.
async function authorize(client, authentication, decision, push = false) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: system.redirectURI,
    response_type: 'code',
    scope: 'profile',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  if (push) {
    const response = await oauth.pushedAuthorizationRequest(as, client, authentication, url.searchParams, loopback)
    const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, response)
    url.search = new URLSearchParams({ client_id: client.client_id, request_uri })
  }
  const callback = oauth.validateAuthResponse(as, client, await browse(decision, url), state)
  const response = await oauth.authorizationCodeGrantRequest(as, client, authentication, callback, system.redirectURI, verifier, loopback)
  return oauth.processAuthorizationCodeResponse(as, client, response)
}

await fails(authorize(...web, 'deny'), 'access_denied')
saw('consent denied')

const session = await authorize(...web, 'allow')
assert.equal((await callAPI(session, '/users/me')).full_name, 'John Doe')
saw('code with PKCE, confidential client')

const mobile = await authorize(...native, 'allow')
assert.equal((await callAPI(mobile, '/users/me')).full_name, 'John Doe')
saw('code with PKCE, public client')

const pushed = await authorize(...web, 'allow', true)
assert.equal((await callAPI(pushed, '/users/me')).full_name, 'John Doe')
saw('pushed authorization request')

const exchangeResponse = await oauth.genericTokenEndpointRequest(as, ...exchanger,
  'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: session.access_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: system.api,
    scope: 'profile',
  }, loopback)
const exchanged = await oauth.processGenericTokenEndpointResponse(as, exchanger[0], exchangeResponse)
assert.equal(exchanged.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token')
assert.equal((await callAPI(exchanged, '/users/me')).full_name, 'John Doe')
assert.deepEqual((await introspect(exchanged.access_token)).act, { sub: 'exchanger' })
saw('token exchange')

// The library validates the access token by RFC 9068, with the keys at jwks_uri.
const request = new Request(new URL('/users/me', resource), { headers: { authorization: `Bearer ${session.access_token}` } })
const claims = await oauth.validateJwtAccessToken(as, request, system.api, { signingAlgorithms: [system.algorithm], ...loopback })
assert.equal(claims.client_id, 'web')
assert.equal(claims.scope, 'profile')
saw('access token verified by the published keys')

const about = await introspect(session.access_token)
assert.deepEqual(
  { active: about.active, sub: about.sub, jti: about.jti, exp: about.exp, iat: about.iat },
  { active: true, sub: claims.sub, jti: claims.jti, exp: claims.exp, iat: claims.iat },
)
saw('introspection')

const info = await oauth.userInfoRequest(as, web[0], session.access_token, loopback)
assert.equal((await oauth.processUserInfoResponse(as, web[0], claims.sub, info)).name, 'John Doe')
saw('userinfo')

await oauth.processRevocationResponse(await oauth.revocationRequest(as, ...web, session.refresh_token, loopback))
assert.equal((await introspect(session.access_token)).active, false)
assert.equal((await introspect(exchanged.access_token)).active, false)
await fails(refresh(...web, session.refresh_token), 'invalid_grant', 400)
const late = await oauth.userInfoRequest(as, web[0], session.access_token, loopback)
await assert.rejects(oauth.processUserInfoResponse(as, web[0], claims.sub, late), (err) => err.cause[0].parameters.error === 'invalid_token')
saw('revocation')

done()
