// Logs the user in and gets tokens: authorization code with PKCE, refresh, logout.
import * as oauth from "./oauth4webapi.js";
import { forget, load, save } from "./store.js";

const settings = await (await fetch("config.json")).json();
const issuer = new URL(settings.issuer);
const client = { client_id: settings.client };
const callback = location.origin + "/callback";

// Plain http is for a server on the same machine.
const options = { [oauth.allowInsecureRequests]: issuer.protocol === "http:" };

// How long before its expiry an access token is refreshed, in milliseconds.
const early = 10_000;

let metadata;

// server returns the metadata of the authorization server, which are fetched once.
async function server() {
  metadata ??= await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
  return metadata;
}

// keep saves the tokens of a processed response, with what is known from before.
function keep(result, before) {
  const { access_token, expires_in, refresh_token, id_token } = result;
  const claims = oauth.getValidatedIdTokenClaims(result);
  return save({
    access_token,
    expires: Date.now() + expires_in * 1000,
    refresh_token: refresh_token ?? before?.refresh_token,
    id_token: id_token ?? before?.id_token,
    name: claims?.name ?? claims?.sub ?? before?.name,
  });
}

// user returns the name of the user, or null if nobody is logged in.
export const user = async () => (await load())?.name ?? null;

// login sends the browser to the authorization server.
export async function login() {
  const as = await server();
  const verifier = oauth.generateRandomCodeVerifier();
  const pending = {
    verifier,
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    path: location.pathname === "/callback" ? "/" : location.pathname + location.search + location.hash,
  };
  sessionStorage.setItem("login", JSON.stringify(pending));
  const to = new URL(as.authorization_endpoint);
  to.search = new URLSearchParams({
    response_type: "code",
    client_id: settings.client,
    redirect_uri: callback,
    scope: settings.scope,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  location.assign(to);
}

// finishLogin exchanges the code for tokens if the browser has come back with one.
export async function finishLogin() {
  if (location.pathname !== "/callback") return;
  const url = new URL(location.href);
  const pending = JSON.parse(sessionStorage.getItem("login"));
  sessionStorage.removeItem("login");
  history.replaceState(null, "", pending?.path ?? "/"); // removes the code from the address bar
  if (!pending) throw new Error("This login was already used, or began in another tab. Please log in again.");
  const as = await server();
  // Checks state and iss (RFC 9207).
  const parameters = oauth.validateAuthResponse(as, client, url, pending.state);
  const response = await oauth.authorizationCodeGrantRequest(
    as, client, oauth.None(), parameters, callback, pending.verifier, options);
  await keep(await oauth.processAuthorizationCodeResponse(as, client, response, {
    expectedNonce: pending.nonce,
    requireIdToken: true,
  }));
}

// valid reports whether an access token can be used for a while.
const valid = (tokens) => Date.now() < tokens.expires - early;

// accessToken returns a valid access token, or null if nobody is logged in. A refresh token can be used once, so
// one tab refreshes, and the others wait for it and take what it got.
async function accessToken() {
  const tokens = await load();
  if (!tokens || valid(tokens)) return tokens?.access_token ?? null;
  return navigator.locks.request("tokens", async () => {
    const latest = await load();
    if (!latest || valid(latest)) return latest?.access_token ?? null;
    const as = await server();
    try {
      const response = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), latest.refresh_token, options);
      const refreshed = await oauth.processRefreshTokenResponse(as, client, response);
      await keep(refreshed, latest);
      return refreshed.access_token;
    } catch (error) {
      if (error.error !== "invalid_grant") throw error;
      await forget(); // the login has ended
      return null;
    }
  });
}

// call returns what the API responds with, or null if the login has ended.
export async function call(path) {
  const token = await accessToken();
  if (!token) return null;
  try {
    const response = await oauth.protectedResourceRequest(
      token, "GET", new URL(settings.api + path), undefined, undefined, options);
    if (response.ok) return response.json();
    const { detail } = await response.json().catch(() => ({}));
    throw new Error(detail ?? `The API responds with ${response.status}.`);
  } catch (error) {
    if (error.status !== 401) throw error;
    await forget(); // the login was ended elsewhere
    return null;
  }
}

// logout ends this login at every API, then that of the browser at the authorization server with all logins that
// were started in it.
export async function logout() {
  const as = await server();
  let hint;
  await navigator.locks.request("tokens", async () => {
    const tokens = await load();
    if (!tokens) return;
    hint = tokens.id_token;
    try {
      await oauth.processRevocationResponse(
        await oauth.revocationRequest(as, client, oauth.None(), tokens.refresh_token, options));
    } finally {
      await forget();
    }
  });
  const to = new URL(as.end_session_endpoint);
  to.searchParams.set("client_id", settings.client);
  to.searchParams.set("post_logout_redirect_uri", location.origin + "/");
  if (hint) to.searchParams.set("id_token_hint", hint);
  location.assign(to);
}
