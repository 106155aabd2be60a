// A single-page app without tokens. The browser sends the session cookie by itself. The header X-CSRF shows
// that this page has sent a request, and not another site.
import { show } from "./view.js";

const headers = { "X-CSRF": "1" };

// Tells the other tabs that the session has changed.
const tabs = new BroadcastChannel("session");

// problem returns the error for a response that is not a success.
async function problem(response) {
  const { detail } = await response.json().catch(() => ({}));
  return new Error(detail ?? `The server responds with ${response.status}.`);
}

// session shows who is logged in.
async function session() {
  const response = await fetch("/bff/session", { headers });
  if (!response.ok) throw await problem(response);
  const { user } = await response.json();
  show.user(user && (user.name ?? user.sub));
}

// call calls the API.
async function call(path) {
  const response = await fetch("/api" + path, { headers });
  if (response.status === 401) return show.user(null); // the login has ended meanwhile
  if (!response.ok) throw await problem(response);
  show.values(path, await response.json());
}

// login leaves this page, and comes back to it.
function login() {
  const here = location.pathname + location.search;
  location.assign("/bff/login?return_to=" + encodeURIComponent(here));
}

// logout ends this login, then that at the authorization server.
async function logout() {
  const response = await fetch("/bff/logout", { method: "POST", headers });
  if (!response.ok) throw await problem(response);
  tabs.postMessage("logout");
  location.assign((await response.json()).location);
}

show.on("login", login);
show.on("me", () => call("/users/me"));
show.on("item", () => call("/items/42"));
show.on("logout", logout);

const refresh = () => session().catch(show.error);
tabs.addEventListener("message", refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("pageshow", (event) => event.persisted && refresh());
refresh();
