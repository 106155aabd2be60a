"""Measures requests a second of a FastAPI application with Hallpass beside the same one with PyJWT alone.

It needs wrk, and uvicorn. Rounds take turns; the ratio is the median of the rounds'. Run it on a quiet machine:

    python3 bench.py [ROUNDS [SECONDS]]

Both applications verify tokens of HS256, which is the cheapest for PyJWT. Hallpass also looks the revocation up.
"""

import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

from tests import issuer
from tests.server import AuthorizationServer


def with_pyjwt() -> Any:
    """Returns the application with the tutorial's dependency."""
    import base64

    import jwt
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.security import OAuth2PasswordBearer

    secret: Any = base64.urlsafe_b64decode(issuer.KEYS["hs"]["k"] + "==")
    app, bearer = FastAPI(), OAuth2PasswordBearer(tokenUrl="token")

    async def current_user(token: str = Depends(bearer)) -> dict[str, Any]:
        try:
            return jwt.decode(token, secret, ["HS256"], audience=issuer.AUDIENCE, issuer=issuer.ISSUER)
        except jwt.InvalidTokenError:
            headers = {"WWW-Authenticate": "Bearer"}
            raise HTTPException(401, "Could not validate credentials", headers) from None

    @app.get("/users/me")
    async def read_me(user: dict[str, Any] = Depends(current_user)) -> Any:
        return {"username": user["preferred_username"], "full_name": user["name"]}

    return app


def with_hallpass(url: str, keys_file: str) -> Any:
    """Returns the application with Hallpass."""
    from fastapi import FastAPI, Security

    from hallpass.fastapi import Caller, Hallpass

    hallpass = Hallpass(
        issuer=issuer.ISSUER, audience=issuer.AUDIENCE, keys_file=keys_file, status_lists_url=url + "/status-lists"
    )
    app = FastAPI()
    hallpass.install(app)

    @app.get("/users/me")
    async def read_me(user: Caller = Security(hallpass.user, scopes=["profile"])) -> Any:
        return {"username": user.username, "full_name": user.name}

    return app


def serve(kind: str, port: str, url: str, keys_file: str) -> None:
    """Runs an application."""
    import uvicorn  # type: ignore[import]

    app = with_pyjwt() if kind == "pyjwt" else with_hallpass(url, keys_file)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")


def start(kind: str, url: str, keys_file: str, token: str) -> tuple[subprocess.Popen[bytes], str]:
    """Starts an application and returns its address when it responds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, __file__, "serve", kind, str(port), url, keys_file])
    address = f"http://127.0.0.1:{port}/users/me"
    for _ in range(200):
        try:
            request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request) as response:
                assert b"john.doe" in response.read()
            return process, address
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the application with {kind} does not respond")


def cpu_seconds(process: int) -> float:
    """Returns the processor time that a process has used, on Linux."""
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(process: int, address: str, token: str, seconds: float) -> tuple[float, float]:
    """Returns requests a second, and requests in a second of the server's processor time."""
    before = cpu_seconds(process)
    command = ["wrk", "-t1", "-c8", f"-d{seconds:.0f}s", "-H", f"Authorization: Bearer {token}", address]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(output)
    used = cpu_seconds(process) - before
    total, rate = re.search(r"(\d+) requests in", output), re.search(r"Requests/sec: +([0-9.]+)", output)
    assert total and rate
    return float(rate[1]), int(total[1]) / used


def main(rounds: int = 5, seconds: float = 5) -> None:
    """Measures and prints."""
    import pathlib
    import tempfile

    server = AuthorizationServer()
    server.list, server.etag = issuer.signed_list("hs", exp=int(time.time()) + 86400), '"1"'
    token = issuer.token("hs", exp=int(time.time()) + 86400)
    results: dict[str, list[tuple[float, float]]] = {"pyjwt": [], "hallpass": []}
    with tempfile.TemporaryDirectory() as folder:
        keys_file = pathlib.Path(folder) / "keys.json"
        keys_file.touch(0o600)
        keys_file.write_text(issuer.key_set("hs"))
        started = {kind: start(kind, server.url, str(keys_file), token) for kind in results}
        try:
            for kind in results:
                load(started[kind][0].pid, started[kind][1], token, 1)  # to warm up
            for turn in range(rounds):
                for kind in sorted(results, reverse=turn % 2 == 1):
                    results[kind].append(load(started[kind][0].pid, started[kind][1], token, seconds))
        finally:
            for process, _ in started.values():
                process.terminate()
                process.wait()
    server.close()
    for index, what in enumerate(("requests a second", "requests in a second of processor time")):
        ours, theirs = ([each[index] for each in results[kind]] for kind in ("hallpass", "pyjwt"))
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        medians = f"Hallpass {statistics.median(ours):.0f}, PyJWT alone {statistics.median(theirs):.0f}"
        print(f"{what}: {medians}, ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
