// Uses DPoP (RFC 9449) through oauth4webapi, which tells its caller of the servers' nonces, and through openid-client,
// which sends a request again by itself.

import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { browse, done, fails, saw, system } from './steps.js'

const loopback = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(system.issuer)
const me = new URL('/users/me', system.api)

const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...loopback }))
assert(as.dpop_signing_alg_values_supported.includes('ES256'))
const resource = new URL(system.api)
const api = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, loopback))
assert(api.dpop_signing_alg_values_supported.includes('ES256'))
saw('discovery')

// withNonce calls a function again if the server has asked for a nonce, which the handle keeps.
let asked = 0
async function withNonce(call) {
  try {
    return await call()
  } catch (err) {
    if (!oauth.isDPoPNonceError(err)) {
      throw err
    }
    asked++
    return call()
  }
}

// authorize returns an authorization response for the client native.
async function authorize(verifier, state, more) {
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: 'native',
    redirect_uri: system.redirectURI,
    response_type: 'code',
    scope: 'profile items:read',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...more,
  })
  return browse('allow', url)
}

const client = { client_id: 'native' }

// redeem returns the token response for a code.
async function redeem(callback, state, verifier, DPoP) {
  const parameters = oauth.validateAuthResponse(as, client, callback, state)
  return withNonce(async () => {
    const response = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), parameters, system.redirectURI, verifier, { DPoP, ...loopback })
    return oauth.processAuthorizationCodeResponse(as, client, response)
  })
}

async function refresh(token, DPoP) {
  return withNonce(async () => {
    const response = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, { DPoP, ...loopback })
    return oauth.processRefreshTokenResponse(as, client, response)
  })
}

async function call(token, method, url, DPoP) {
  return withNonce(() => oauth.protectedResourceRequest(token, method, url, undefined, undefined, { DPoP, ...loopback }))
}

let session
for (const algorithm of ['ES256', 'Ed25519', 'RS256', 'PS256']) {
  const keys = await oauth.generateKeyPair(algorithm)
  const DPoP = oauth.DPoP(client, keys)
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const callback = await authorize(verifier, state, { dpop_jkt: await DPoP.calculateThumbprint() })
  let tokens = await redeem(callback, state, verifier, DPoP)
  assert.equal(tokens.token_type, 'dpop')
  for (const method of ['GET', 'HEAD']) {
    assert.equal((await call(tokens.access_token, method, me, DPoP)).status, 200)
  }
  tokens = await refresh(tokens.refresh_token, DPoP)
  assert.equal(tokens.token_type, 'dpop')
  assert.equal((await (await call(tokens.access_token, 'GET', me, DPoP)).json()).full_name, 'John Doe')
  const info = await withNonce(() => oauth.userInfoRequest(as, client, tokens.access_token, { DPoP, ...loopback }))
  assert.equal((await info.json()).name, 'John Doe')
  session = tokens
  saw(`code, refresh, API and userinfo with ${algorithm}`)
}
assert(asked >= 8, `the servers asked ${asked} times for a nonce`)

const other = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
await fails(refresh(session.refresh_token, other), 'invalid_grant', 400)
await assert.rejects(call(session.access_token, 'GET', me, other), (err) => err.cause[0].parameters.error === 'invalid_token')
await assert.rejects(oauth.protectedResourceRequest(session.access_token, 'GET', me, undefined, undefined, loopback),
  (err) => err.cause[0].scheme === 'bearer' && err.cause[1].scheme === 'dpop')
saw('stolen tokens refused')

const pushState = oauth.generateRandomState()
const pushVerifier = oauth.generateRandomCodeVerifier()
const pushKey = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
const { request_uri } = await withNonce(async () => {
  const response = await oauth.pushedAuthorizationRequest(as, client, oauth.None(), new URLSearchParams({
    redirect_uri: system.redirectURI,
    response_type: 'code',
    scope: 'profile',
    state: pushState,
    code_challenge: await oauth.calculatePKCECodeChallenge(pushVerifier),
    code_challenge_method: 'S256',
  }), { DPoP: pushKey, ...loopback })
  return oauth.processPushedAuthorizationResponse(as, client, response)
})
const pushedURL = new URL(as.authorization_endpoint)
pushedURL.search = new URLSearchParams({ client_id: 'native', request_uri })
const pushed = await browse('allow', pushedURL)
await fails(redeem(pushed, pushState, pushVerifier, other), 'invalid_grant', 400)
assert.equal((await redeem(pushed, pushState, pushVerifier, pushKey)).token_type, 'dpop')
saw('pushed authorization request')

const config = await openid.discovery(issuer, 'native', undefined, openid.None(), {
  algorithm: 'oauth2', execute: [openid.allowInsecureRequests],
})
const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
const verifier = openid.randomPKCECodeVerifier()
const state = openid.randomState()
const callback = await authorize(verifier, state, {})
let tokens = await openid.authorizationCodeGrant(config, callback, { pkceCodeVerifier: verifier, expectedState: state }, undefined, { DPoP })
tokens = await openid.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
assert.equal(tokens.token_type, 'dpop')
const response = await openid.fetchProtectedResource(config, tokens.access_token, me, 'GET', undefined, undefined, { DPoP })
assert.equal((await response.json()).full_name, 'John Doe')
saw('openid-client: code, refresh and API')

done()
