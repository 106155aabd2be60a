"""Verifies an access token with PyJWT 2 (Debian: python3-jwt): python3 verify_token.py SCOPE <token"""
import base64, json, os, sys, time, urllib.request, zlib
import jwt

ISSUER = os.environ.get("HALLPASS_ISSUER", "http://127.0.0.1:9000")
AUDIENCE = os.environ.get("HALLPASS_AUDIENCE", "http://127.0.0.1:8000")
KEYS = "file:" + os.path.abspath(os.environ.get("HALLPASS_KEYS_FILE", "var/api-keys.json"))  # or ISSUER + "/jwks.json"

def fetch(url):  # a server keeps the keys for a minute, and each status list for a second
    return urllib.request.urlopen(url, timeout=5).read().decode()

def decode(token, typ, required, **expected):
    header = jwt.get_unverified_header(token)
    keys = {k["kid"]: k for k in json.loads(fetch(KEYS))["keys"] if time.time() < k.get("exp", 1e99)}
    key = keys.get(header.get("kid"))
    if not key or header.get("typ") != typ or key.get("aud", AUDIENCE) != AUDIENCE:
        raise jwt.InvalidTokenError("typ or kid is wrong")
    return jwt.decode(token, jwt.PyJWK(key).key, [key["alg"]], {"require": required}, leeway=5, **expected)

def verify(token, scope):  # RFC 9068 section 4, and the Token Status List
    claims = decode(token, "at+jwt", ["exp", "sub", "client_id"], issuer=ISSUER, audience=AUDIENCE)
    status = claims["status"]["status_list"]
    if not status["uri"].startswith(ISSUER + "/status-lists/") or scope not in claims["scope"].split() or "cnf" in claims:
        raise jwt.InvalidTokenError("the status list or the scope is wrong, or it needs a DPoP proof (cnf)")
    packed = decode(fetch(status["uri"]), "statuslist+jwt", ["exp", "sub"])["status_list"]["lst"]
    bits = zlib.decompress(base64.urlsafe_b64decode(packed + "=="))
    if status["idx"] >= len(bits) * 8 or bits[status["idx"] // 8] >> status["idx"] % 8 & 1:
        raise jwt.InvalidTokenError("the token is revoked")
    return claims

if __name__ == "__main__":
    print(json.dumps(verify(sys.stdin.read().strip(), sys.argv[1])))
