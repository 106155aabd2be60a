"""An API with the Python kit. Its settings are in the environment, so that tests can start it in many ways."""

import os
import time

from fastapi import FastAPI, Security

from hallpass.fastapi import Caller, Hallpass

hallpass = Hallpass(
    issuer=os.environ["ISSUER"],
    audience=os.environ["AUDIENCE"],
    keys_url=os.environ.get("KEYS_URL"),
    keys_file=os.environ.get("KEYS_FILE"),
    status_lists_url=os.environ.get("STATUS_LISTS_URL"),
    scopes={"profile": "Read names", "items:read": "Read items"},
    now=lambda: time.time() + float(os.environ.get("CLOCK_AHEAD", "0")),
)
app = FastAPI()
hallpass.install(app)


@app.get("/users/me")
async def read_me(user: Caller = Security(hallpass.user, scopes=["profile"])):
    return {"username": user.username, "full_name": user.name}


@app.get("/recent")
async def read_recent(user: Caller = Security(hallpass.login(max_age=600), scopes=["profile"])):
    return {"acr": user.acr, "methods": user.methods}


@app.get("/strong")
async def read_strong(user: Caller = Security(hallpass.login(acr_values=["2"], max_age=600), scopes=["profile"])):
    return {"acr": user.acr, "methods": user.methods}


@app.get("/items/{item_id}")
def read_item(item_id: int, caller: Caller = Security(hallpass, scopes=["items:read"])):
    return {"item_id": item_id, "owner": caller.username}
