"""Uses the authorization server through requests-oauthlib. The library supports neither
introspection nor revocation, but it prepares the request of a revocation."""

import base64
import hashlib
import secrets as random

import requests
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from steps import api, browse, fails, issuer, redirect_uri, same, saw, secrets, user

token_url = issuer + "/token"


def call_api(session, path="/users/me"):
    response = session.get(api + path)
    same(response.status_code, 200)
    return response.json()


def log_in(client_id, **how):
    session = OAuth2Session(client=LegacyApplicationClient(client_id))
    session.fetch_token(token_url, **user, **how)
    return session


for how in ({}, {"include_client_id": True}):
    demo = log_in("demo", **how)
    same(call_api(demo)["full_name"], "John Doe")
saw("password, public client by basic and post")

for how in ({}, {"include_client_id": True}):
    backend = log_in("backend", client_secret=secrets["backend"], **how)
    same(call_api(backend)["full_name"], "John Doe")
saw("password, confidential client by basic and post")

fails(OAuth2Error, "invalid_client", log_in, "backend", client_secret="wrong")
saw("wrong secret refused")

before = demo.token["refresh_token"]
demo.refresh_token(token_url, client_id="demo")
same(demo.token["refresh_token"] != before, True)
same(call_api(demo)["full_name"], "John Doe")
backend.refresh_token(token_url, auth=HTTPBasicAuth("backend", secrets["backend"]))
same(call_api(backend)["full_name"], "John Doe")
saw("refresh")

updated = []
automatic = OAuth2Session(
    "demo", token=dict(demo.token, expires_at=1, expires_in=-1),
    auto_refresh_url=token_url, auto_refresh_kwargs={"client_id": "demo"}, token_updater=updated.append,
)
same(call_api(automatic)["full_name"], "John Doe")
same(len(updated), 1)
saw("refresh when the token has expired")

for how in ({}, {"include_client_id": True}):
    service = OAuth2Session(client=BackendApplicationClient("service", scope="items:read"), scope="items:read")
    service.fetch_token(token_url, client_secret=secrets["service"], **how)
    same(call_api(service, "/items/42")["item_id"], 42)
saw("client_credentials by basic and post")


def authorize(client_id, decision="allow", **how):
    """Return a session that has redeemed a code. This release of the library leaves PKCE to its caller."""
    session = OAuth2Session(client_id, redirect_uri=redirect_uri, scope=["profile"])
    verifier = random.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    url, _ = session.authorization_url(issuer + "/authorize", code_challenge=challenge, code_challenge_method="S256")
    callback = browse(decision, url)
    session.fetch_token(token_url, authorization_response=callback, code_verifier=verifier, **how)
    return session


fails(OAuth2Error, "access_denied", authorize, "web", "deny")
saw("consent denied")

web = authorize("web", client_secret=secrets["web"])
same(call_api(web)["full_name"], "John Doe")
saw("code with PKCE, confidential client")

native = authorize("native", include_client_id=True)
same(call_api(native)["full_name"], "John Doe")
saw("code with PKCE, public client")

url, headers, body = LegacyApplicationClient("native").prepare_token_revocation_request(
    issuer + "/revoke", native.token["refresh_token"], client_id="native")
same(requests.post(url, headers=headers, data=body).status_code, 200)
fails(OAuth2Error, "invalid_grant", native.refresh_token, token_url, client_id="native")
saw("revocation")
