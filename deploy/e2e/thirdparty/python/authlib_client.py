"""Uses the authorization server through Authlib, and verifies its tokens with Authlib's JOSE."""

import time
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

from steps import api, browse, fails, issuer, redirect_uri, same, saw, secrets, system, user

well_known = get_well_known_url(issuer, external=True, suffix="oauth-authorization-server")
metadata = AuthorizationServerMetadata(requests.get(well_known).json())
metadata.validate()
same(metadata.issuer, issuer)
saw("discovery")

token_endpoint = metadata.token_endpoint


def session(client_id, **settings):
    return OAuth2Session(client_id, secrets.get(client_id), token_endpoint=token_endpoint, **settings)


def call_api(client, path="/users/me"):
    response = client.get(api + path)
    same(response.status_code, 200)
    return response.json()


demo = session("demo")
login = demo.fetch_token(token_endpoint, **user)
same(call_api(demo)["full_name"], "John Doe")
saw("password")

fails(AuthlibBaseError, "invalid_grant", session("demo").fetch_token, token_endpoint, username="john.doe", password="wrong")
saw("wrong password refused")

refreshed = demo.refresh_token(token_endpoint)
same(refreshed["refresh_token"] != login["refresh_token"], True)
same(call_api(demo)["full_name"], "John Doe")
saw("refresh")

updated = []
expired = dict(refreshed, expires_at=1)
automatic = session("demo", token=expired, update_token=lambda token, **_: updated.append(token))
same(call_api(automatic)["full_name"], "John Doe")
same(len(updated), 1)
saw("refresh when the token has expired")

for method in ("client_secret_basic", "client_secret_post"):
    service = session("service", token_endpoint_auth_method=method, scope="items:read")
    token = service.fetch_token(token_endpoint, grant_type="client_credentials")
    same("refresh_token" in token, False)
    same(call_api(service, "/items/42")["item_id"], 42)
    stranger = OAuth2Session("service", "wrong", token_endpoint_auth_method=method)
    fails(AuthlibBaseError, "invalid_client", stranger.fetch_token, token_endpoint, grant_type="client_credentials")
    saw(f"client_credentials by {method}")


def authorize(client_id, decision="allow"):
    """Return a session that has redeemed a code, or the error of the callback, which the library
    leaves to its caller."""
    client = session(client_id, redirect_uri=redirect_uri, scope="profile", code_challenge_method="S256")
    verifier = generate_token(48)
    url, state = client.create_authorization_url(metadata.authorization_endpoint, code_verifier=verifier)
    callback = browse(decision, url)
    if refused := parse_qs(urlsplit(callback).query).get("error"):
        return refused
    client.fetch_token(token_endpoint, authorization_response=callback, state=state, code_verifier=verifier)
    return client


same(authorize("web", "deny"), ["access_denied"])
saw("consent denied")

web = authorize("web")
same(call_api(web)["full_name"], "John Doe")
saw("code with PKCE, confidential client")

native = authorize("native")
same(call_api(native)["full_name"], "John Doe")
saw("code with PKCE, public client")

keys = JsonWebKey.import_key_set(requests.get(metadata.jwks_uri).json())
claims = JsonWebToken([system["algorithm"]]).decode(web.token["access_token"], keys, claims_options={
    "iss": {"essential": True, "value": issuer},
    "aud": {"essential": True, "value": api},
    "client_id": {"essential": True, "value": "web"},
})
claims.validate()
same(claims.header["typ"], "at+jwt")
saw("access token verified by the published keys")

inspector = session("inspector")


def introspect(token):
    return inspector.introspect_token(metadata.introspection_endpoint, token=token, token_type_hint="access_token").json()


about = introspect(web.token["access_token"])
same((about["active"], about["sub"], about["username"], about["scope"]), (True, claims["sub"], "john.doe", "profile"))
same(introspect("nonsense"), {"active": False})
saw("introspection")

info = web.get(issuer + "/userinfo").json()
same(info.pop("updated_at") <= time.time(), True)
same(info, {"sub": claims["sub"], "preferred_username": "john.doe", "name": "John Doe"})
saw("userinfo")

for client in (web, native):
    same(client.revoke_token(metadata.revocation_endpoint, token_type_hint="refresh_token").status_code, 200)
    same(introspect(client.token["access_token"]), {"active": False})
    fails(AuthlibBaseError, "invalid_grant", client.refresh_token, token_endpoint)
saw("revocation by both kinds of client")
