"use strict";

// The forms of passkeys (https://www.w3.org/TR/webauthn-3/): asks the browser for the passkey that data-options
// describes, puts its answer into the form, and sends it. Without this script they stay hidden, and the pages work.

(() => {
  const form = document.querySelector("form[data-passkey]");
  if (!form || !window.PublicKeyCredential) return;

  const problem = form.querySelector("[data-problem]");
  const button = form.querySelector("button");
  let waiting = null; // for a passkey that the user picks in the username field

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // options returns what data-options describes. Binary values are base64url in JSON.
  function options() {
    const publicKey = JSON.parse(form.dataset.options);
    publicKey.challenge = bytes(publicKey.challenge);
    if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id);
    for (const list of [publicKey.allowCredentials, publicKey.excludeCredentials]) {
      for (const credential of list ?? []) credential.id = bytes(credential.id);
    }
    return publicKey;
  }

  // answerOf returns the answer as the server reads it: RegistrationResponseJSON or AuthenticationResponseJSON.
  function answerOf(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined, clientExtensionResults: {},
    });
  }

  function send(credential) {
    form.elements.passkey.value = answerOf(credential);
    form.submit();
  }

  function show(error) {
    const texts = problem.dataset; // in the language of the page
    problem.textContent = {
      InvalidStateError: texts.taken, SecurityError: texts.address, NotSupportedError: texts.unsupported,
    }[error.name] ?? texts.unused;
    problem.hidden = false;
    button.disabled = false;
  }

  // ask asks for a passkey after the user has pressed the button.
  async function ask() {
    waiting?.abort();
    problem.hidden = true;
    button.disabled = true;
    try {
      const publicKey = options();
      send(form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey })
        : await navigator.credentials.get({ publicKey }));
    } catch (error) {
      show(error);
      offer();
    }
  }

  // offer lets the user pick a passkey in the username field of the login page (conditional mediation).
  async function offer() {
    if (!document.querySelector('input[autocomplete~="webauthn"]')) return;
    if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    waiting = new AbortController();
    try {
      send(await navigator.credentials.get({
        publicKey: options(), mediation: "conditional", signal: waiting.signal,
      }));
    } catch (error) {
      if (error.name !== "AbortError") show(error);
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  document.querySelector("[data-no-passkeys]")?.remove();
  form.hidden = false;
  offer();
})();
