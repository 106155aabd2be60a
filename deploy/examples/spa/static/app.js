// The buttons of the page.
import { call, finishLogin, login, logout, user } from "./login.js";
import { onChange } from "./store.js";
import { show } from "./view.js";

const refresh = async () => show.user(await user());

async function get(path) {
  const values = await call(path);
  if (values) show.values(path, values);
  else await refresh();
}

show.on("login", login);
show.on("me", () => get("/users/me"));
show.on("item", () => get("/items/42"));
show.on("logout", () => logout().finally(refresh));
onChange(refresh);

// failure returns what the user reads about a login that has failed.
function failure(error) {
  if (error.error === "access_denied") return new Error("You did not allow this app to log you in.");
  if (error.code === undefined) return error;
  console.warn(error); // of oauth4webapi
  return new Error("The login has failed. Please log in again.");
}

try {
  await finishLogin();
  await refresh();
} catch (error) {
  await refresh();
  show.error(failure(error));
}
