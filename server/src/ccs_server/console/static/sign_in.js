/** The page that asks for an account and a credential. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { Api } from "./api.js";

const state = { isBusy: false, message: "" };

/** @param {(api: Api) => void} done - Called with the account. @param {() => void} update - Renders again. */
export function signIn(done, update) {
  async function submit(event) {
    event.preventDefault();
    const fields = new FormData(event.target);
    const api = new Api(fields.get("account").trim(), fields.get("credential").trim());
    Object.assign(state, { isBusy: true, message: "" });
    update();
    try {
      await check(api);
      done(api);
    } catch (error) {
      state.message = error.message;
    } finally {
      state.isBusy = false;
      update();
    }
  }
  return html`<main class="alone sign-in">
    <h1><img src="/console/icon.svg" alt="" width="40" height="40">CCS console</h1>
    <p>Look at what your bots know about each conversation, and watch it change.</p>
    <form @submit=${submit}>
      <label>Account
        <input name="account" required pattern="[A-Za-z0-9_\\-]{1,64}" autocomplete="off" autocapitalize="none" spellcheck="false" autofocus></label>
      <label>Key or token
        <input name="credential" type="password" required autocomplete="off" aria-describedby="kept"></label>
      <p id="kept" class="hint">It stays in the memory of this tab: in no storage, and in no address. A reload asks for it again.</p>
      ${state.message ? html`<p class="error" role="alert">${state.message}</p>` : nothing}
      <button class="main" ?disabled=${state.isBusy}>${state.isBusy ? "Signing in…" : "Sign in"}</button>
    </form>
    <p class="hint">Operators make a key with <code>ccs keys create ACCOUNT</code>.</p>
  </main>`;
}

/** Throws unless the credential is one of the account. Any credential may ask for the position of the change log. */
async function check(api) {
  await api.send("GET", api.ext("changes"), { query: { after: "now", limit: 0 }, isQuiet: true });
}
