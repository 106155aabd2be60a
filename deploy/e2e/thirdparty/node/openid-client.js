// Uses the authorization server through openid-client.

import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { browse, done, fails, saw, system, user } from './steps.js'

// configure finds the endpoints by RFC 8414. Plain http is allowed because the server runs on
// this machine.
function configure(id, authentication) {
  return client.discovery(new URL(system.issuer), id, undefined, authentication, {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
}

const demo = await configure('demo', client.None())
const web = await configure('web', client.ClientSecretBasic(system.secrets.web))
const native = await configure('native', client.None())
const service = await configure('service', client.ClientSecretBasic(system.secrets.service))
const inspector = await configure('inspector', client.ClientSecretPost(system.secrets.inspector))
assert.equal(demo.serverMetadata().issuer, system.issuer)
assert.ok(demo.serverMetadata().supportsPKCE())
saw('discovery')

async function callAPI(config, tokens, path) {
  const response = await client.fetchProtectedResource(config, tokens.access_token, new URL(path, system.api), 'GET')
  assert.equal(response.status, 200)
  return response.json()
}

async function isActive(token) {
  return (await client.tokenIntrospection(inspector, token)).active
}

const login = await client.genericGrantRequest(demo, 'password', user)
assert.equal(login.expiresIn() > 1700, true)
assert.equal((await callAPI(demo, login, '/users/me')).full_name, 'John Doe')
saw('password')

await fails(client.genericGrantRequest(demo, 'password', { ...user, password: 'wrong' }), 'invalid_grant', 400)
saw('wrong password refused')

const refreshed = await client.refreshTokenGrant(demo, login.refresh_token)
assert.notEqual(refreshed.refresh_token, login.refresh_token)
await callAPI(demo, refreshed, '/users/me')
saw('refresh')

const again = await client.refreshTokenGrant(demo, login.refresh_token)
assert.equal(again.refresh_token, refreshed.refresh_token)
saw('refresh whose response was lost')

const narrow = await client.refreshTokenGrant(demo, again.refresh_token, { scope: 'profile' })
assert.equal(narrow.scope, 'profile')
await fails(client.refreshTokenGrant(demo, narrow.refresh_token, { scope: 'profile admin' }), 'invalid_scope', 400)
saw('refresh with less scope, not with more')

for (const [name, authentication] of [['basic', client.ClientSecretBasic], ['post', client.ClientSecretPost]]) {
  const config = await configure('service', authentication(system.secrets.service))
  const tokens = await client.clientCredentialsGrant(config, { scope: 'items:read' })
  assert.equal(tokens.refresh_token, undefined)
  assert.equal((await callAPI(config, tokens, '/items/42')).item_id, 42)
  saw(`client_credentials by ${name}`)

  const stranger = await configure('service', authentication('wrong'))
  const refused = client.clientCredentialsGrant(stranger)
  if (name === 'basic') { // the library shows a 401 with a challenge as that challenge
    await assert.rejects(refused, (err) => err.status === 401 && err.cause[0].scheme === 'basic')
  } else {
    await assert.rejects(refused, (err) => err.status === 401)
  }
  saw(`wrong secret refused by ${name}`)
}

// A client that signs assertions with its own key (private_key_jwt) has no secret.
const { jwk, kid } = system.signer
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const signer = await configure('signer', client.PrivateKeyJwt({ key, kid }))
const signed = await client.clientCredentialsGrant(signer, { scope: 'items:read' })
assert.equal((await callAPI(signer, signed, '/items/42')).item_id, 42)
assert.equal((await client.tokenIntrospection(signer, signed.access_token)).active, true)
await client.tokenRevocation(signer, signed.access_token)
assert.equal((await client.tokenIntrospection(signer, signed.access_token)).active, false)
saw('client_credentials, introspection and revocation by private_key_jwt')

// authorize sends a request with PKCE. It returns the URL of the callback and what the library needs to
// check it.
async function authorize(config, decision, more = {}) {
  const checks = { pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: client.randomState() }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: system.redirectURI,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    ...more,
  })
  return [await browse(decision, url), checks]
}

const [denied, deniedChecks] = await authorize(web, 'deny')
await fails(client.authorizationCodeGrant(web, denied, deniedChecks), 'access_denied')
saw('consent denied')

const [allowed, allowedChecks] = await authorize(web, 'allow', { scope: 'profile' })
const session = await client.authorizationCodeGrant(web, allowed, allowedChecks)
assert.equal((await callAPI(web, session, '/users/me')).full_name, 'John Doe')
saw('code with PKCE, confidential client')

const [returned, nativeChecks] = await authorize(native, 'allow')
const mobile = await client.authorizationCodeGrant(native, returned, nativeChecks)
assert.equal((await callAPI(native, mobile, '/users/me')).full_name, 'John Doe')
saw('code with PKCE, public client')

const [silent, silentChecks] = await authorize(web, 'allow', { prompt: 'none', scope: 'profile' })
await client.authorizationCodeGrant(web, silent, silentChecks)
const [unasked, unaskedChecks] = await authorize(native, 'allow', { prompt: 'none' }) // RFC 8252 section 8.6
await fails(client.authorizationCodeGrant(native, unasked, unaskedChecks), 'consent_required')
saw('code without a page, prompt=none')

for (const [name, change] of [
  ['another iss', (url) => url.searchParams.set('iss', 'https://attacker.example')],
  ['no iss', (url) => url.searchParams.delete('iss')],
  ['another state', (url) => url.searchParams.set('state', 'other')],
]) {
  const [url, checks] = await authorize(native, 'allow')
  change(url)
  await assert.rejects(client.authorizationCodeGrant(native, url, checks), (err) => err.code === 'OAUTH_INVALID_RESPONSE')
  saw(`response with ${name} refused by the library`)
}

const [other, otherChecks] = await authorize(native, 'allow')
otherChecks.pkceCodeVerifier = client.randomPKCECodeVerifier()
await fails(client.authorizationCodeGrant(native, other, otherChecks), 'invalid_grant', 400)
saw('wrong verifier refused')

const about = await client.tokenIntrospection(inspector, session.access_token)
assert.deepEqual(
  { active: about.active, client_id: about.client_id, username: about.username, scope: about.scope, iss: about.iss, aud: about.aud },
  { active: true, client_id: 'web', username: 'john.doe', scope: 'profile', iss: system.issuer, aud: [system.api] },
)
assert.equal(await isActive(session.refresh_token), false) // it is another client's (RFC 7662 section 4)
assert.deepEqual({ ...(await client.tokenIntrospection(inspector, 'nonsense')) }, { active: false })
saw('introspection')

const { updated_at: updatedAt, ...info } = await client.fetchUserInfo(web, session.access_token, about.sub)
assert.ok(updatedAt <= Date.now() / 1000)
assert.deepEqual(info, { sub: about.sub, preferred_username: 'john.doe', name: 'John Doe' })
saw('userinfo')

await client.tokenRevocation(web, session.refresh_token, { token_type_hint: 'access_token' })
assert.equal(await isActive(session.access_token), false)
await fails(client.refreshTokenGrant(web, session.refresh_token), 'invalid_grant', 400)
await client.tokenRevocation(web, 'nonsense')
saw('revocation of a refresh token, with a wrong hint')

await client.tokenRevocation(native, mobile.access_token)
assert.equal(await isActive(mobile.refresh_token), false)
saw('revocation of an access token by a public client')

// A code that is used twice may be stolen: its tokens are revoked.
const [stolen, stolenChecks] = await authorize(native, 'allow')
const victim = await client.authorizationCodeGrant(native, stolen, stolenChecks)
await fails(client.authorizationCodeGrant(native, stolen, stolenChecks), 'invalid_grant', 400)
assert.equal(await isActive(victim.access_token), false)
saw('code used twice')

done()
