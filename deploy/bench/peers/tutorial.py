"""What the security chapter of FastAPI's tutorial builds: logins with bcrypt, and an API for their tokens."""

import sys
from datetime import datetime, timedelta

import fastapi
import jose
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from jose import JWTError, jwt
from passlib.context import CryptContext
from pydantic import BaseModel

KEY, ALGORITHM, LIFETIME = "a secret of thirty-two bytes or more", "HS256", timedelta(minutes=30)

passwords = CryptContext(schemes=["bcrypt"], bcrypt__rounds=12)
users = {}
app = FastAPI()
bearer = OAuth2PasswordBearer(tokenUrl="token")


class User(BaseModel):
    username: str
    full_name: str


def current_user(token: str = Depends(bearer)) -> dict:
    try:
        return users[jwt.decode(token, KEY, algorithms=[ALGORITHM])["sub"]]
    except (JWTError, KeyError):
        raise HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})


@app.post("/token")
def log_in(form: OAuth2PasswordRequestForm = Depends()):
    user = users.get(form.username)
    if not user or not passwords.verify(form.password, user["hash"]):
        raise HTTPException(400, "Incorrect username or password")
    claims = {"sub": form.username, "exp": datetime.utcnow() + LIFETIME}
    return {"access_token": jwt.encode(claims, KEY, ALGORITHM), "token_type": "bearer"}


@app.get("/users/me", response_model=User)
def read_me(user: dict = Depends(current_user)):
    return user


if sys.argv[1] == "version":
    print(f"FastAPI {fastapi.__version__}, uvicorn {uvicorn.__version__}, python-jose {jose.__version__}, "
          f"Python {sys.version.split()[0]}")
else:
    users["john.doe"] = {
        "username": "john.doe", "full_name": "John Doe", "hash": passwords.hash("securepassword"),
    }
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
