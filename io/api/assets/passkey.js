// Signing in by link and by passkey, and making a passkey.
"use strict";
(() => {
  const post = async (url, body) => {
    const answer = await fetch(url, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.status === 401) { location.assign("/sign-in"); throw new Error("Sign in first."); }
    if (!answer.ok) throw new Error(said.detail ?? "The hub could not do it. Try again.");
    return said;
  };
  const complain = (error) => {
    const box = document.getElementById("wrong");
    const text = error.name === "NotAllowedError"
      ? "The passkey was not used: it was cancelled, took too long, or is not for this name and hub."
      : error.name === "InvalidStateError" ? "This device has a passkey for you already."
      : error.message;
    box.textContent = text.charAt(0).toUpperCase() + text.slice(1) + (/[.?]$/.test(text) ? "" : ".");
    box.hidden = false;
  };
  const next = () => document.querySelector("input[name=next]")?.value ?? "/";

  const byLink = async () => {
    const token = location.hash.slice(1);
    history.replaceState(null, "", location.pathname + location.search);
    document.getElementById("busy").hidden = false;
    try {
      await post("/api/v1/session", { by: "link", token });
      location.replace("/welcome");
    } catch (error) {
      document.getElementById("busy").hidden = true;
      complain(error);
    }
  };

  const signIn = async () => {
    const field = document.querySelector("#by-password input[name=name]");
    if (!field.value.trim()) { field.reportValidity(); return; }
    const { ceremony, options } = await post("/passkey/sign-in/begin", { name: field.value });
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
    const answer = await navigator.credentials.get({ publicKey });
    await post("/passkey/sign-in/finish", { ceremony, answer: answer.toJSON() });
    location.replace(next());
  };

  const make = async (button) => {
    const { ceremony, options } = await post("/passkey/new/begin", {});
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey);
    const answer = await navigator.credentials.create({ publicKey });
    const name = document.getElementById("passkey-name").value;
    await post("/passkey/new/finish", { ceremony, name, answer: answer.toJSON() });
    location.assign(`${button.dataset.next}?done=passkey`);
  };

  const canDoIt = window.PublicKeyCredential?.parseRequestOptionsFromJSON;
  document.querySelectorAll("[data-passkey]").forEach((button) => {
    if (!canDoIt) return;
    button.hidden = false;
    button.disabled = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      document.getElementById("wrong").hidden = true;
      try {
        await (button.dataset.passkey === "new" ? make(button) : signIn());
      } catch (error) { complain(error); } finally { button.disabled = false; }
    });
  });
  if (location.pathname === "/sign-in") {
    if (location.hash.length > 1) byLink();
    addEventListener("hashchange", () => { if (location.hash.length > 1) byLink(); });
  }
})();
