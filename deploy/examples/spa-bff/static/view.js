// What the page shows. All texts are set as text, never as HTML.

const element = (id) => document.getElementById(id);
const whenLoggedIn = ["me", "item", "logout"];

export const show = {
  // user shows that a user is logged in, or nobody if the name is null.
  user(name) {
    const before = document.activeElement;
    element("status").textContent = name ? `Logged in as ${name}.` : "You are not logged in.";
    element("login").hidden = !!name;
    for (const id of whenLoggedIn) element(id).hidden = !name;
    if (!name) element("result").hidden = true;
    element("error").hidden = true;
    if (before?.hidden) element("title").focus(); // the focus was on a button that is gone
  },

  // values shows an object of the API.
  values(path, object) {
    element("what").textContent = `GET ${path}`;
    element("values").replaceChildren(...Object.entries(object).flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = typeof value === "object" ? JSON.stringify(value) : value;
      return [term, text];
    }));
    element("error").hidden = true;
    element("result").hidden = false;
  },

  error(error) {
    const offline = error instanceof TypeError; // of fetch
    element("error").textContent = offline ? "The server cannot be reached. Please try again." : error.message;
    element("error").hidden = false;
  },

  // on runs an action when a button is pressed, once at a time, and shows its error.
  on(id, action) {
    const button = element(id);
    button.addEventListener("click", async () => {
      if (button.ariaDisabled === "true") return;
      button.ariaDisabled = "true";
      try {
        await action();
      } catch (error) {
        show.error(error);
      } finally {
        button.ariaDisabled = null;
      }
    });
  },
};
