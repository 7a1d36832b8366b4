/** The keys of the account: made, rotated and revoked. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { copyable } from "../copying.js";
import { Dialog } from "../dialog.js";
import { choice, namespacesIn } from "../fields.js";
import { ago, at } from "../times.js";

const DAY = 86_400;
const LIVES = [["", "never"], [3_600, "in an hour"], [DAY, "in a day"], [30 * DAY, "in 30 days"], [365 * DAY, "in a year"]];
const OVERLAPS = [[DAY, "in a day"], [3_600, "in an hour"], [7 * DAY, "in a week"], [0, "at once"]];
const SCOPES = [
  ["read", "read: look, find, export"],
  ["write", "write: save and delete too"],
  ["admin", "admin: keys, jobs and settings too"],
];

/** @type {import("../app.js").View} */
export const keys = {
  path: "keys",
  menu: "Keys",
  isForAdmins: true,

  open(page) {
    const { api } = page;
    const dialog = new Dialog(page);
    /** Null until they are read. */
    let all = null;
    let refusal = "";
    /** The key that was made last. It is shown until the view is left. */
    let made = null;

    page.run(read);

    async function read() {
      try {
        // After a key was made, the last request stays the one that has made it.
        all = (await api.send("GET", api.ext("keys"), { signal: page.signal, isQuiet: made !== null })).json().keys;
      } catch (error) {
        if (error.status !== 403) throw error;
        refusal = error.message;
      }
    }

    /** Sends what makes a key, and shows it. */
    async function make(path, body) {
      made = (await api.send("POST", path, { body })).json();
      api.keys = undefined;
      page.announce("The key was made. Copy it now: it is not shown again.");
      await read();
    }

    function create() {
      dialog.ask({
        title: "Make a key",
        does: "Make it",
        body: fields,
        async act(given) {
          await make(api.ext("keys"), {
            scope: given.get("scope"),
            label: given.get("label").trim(),
            ns: namespacesIn(given),
            ...(given.get("expiresIn") && { expiresIn: Number(given.get("expiresIn")) }),
          });
        },
      });
    }

    function rotate(key) {
      dialog.ask({
        title: "Rotate a key",
        does: "Rotate it",
        body: () => html`<p>A new key takes the place of <strong><bdi>${nameOf(key)}</bdi></strong>, with the same rights.</p>
          ${key.keyId === api.keyId ? html`<p>You are signed in with the old one: sign in with the new one before it ends.</p>` : nothing}
          <label>The old one ends ${choice("overlap", OVERLAPS)}</label>`,
        act: (given) => make(api.ext("keys", key.keyId, "rotate"), { overlap: Number(given.get("overlap")) }),
      });
    }

    function revoke(key) {
      dialog.ask({
        title: "Revoke a key",
        does: "Revoke it",
        isDanger: true,
        body: () => html`<p>Whoever uses <strong><bdi>${nameOf(key)}</bdi></strong> is refused within seconds, and so are its
            session tokens. This cannot be undone.</p>
          ${key.keyId === api.keyId ? html`<p>You are signed in with this key: the console is refused, too.</p>` : nothing}`,
        async act() {
          await api.send("DELETE", api.ext("keys", key.keyId));
          api.keys = undefined;
          page.announce(`${nameOf(key)} was revoked.`);
          all = all.filter(({ keyId }) => keyId !== key.keyId);
        },
      });
    }

    const row = (key) => html`<tr role="row">
      <th role="rowheader" scope="row"><bdi>${nameOf(key)}</bdi>${key.keyId === api.keyId ? html` <span class="hint">(yours)</span>` : nothing}</th>
      <td role="cell" data-label="Id"><code>${key.keyId}</code></td>
      <td role="cell" data-label="Scope">${key.scope}</td>
      <td role="cell" data-label="Namespaces">${key.ns?.join(", ") ?? "all"}</td>
      <td role="cell" data-label="Made">${ago(key.createdAt, api.now())}</td>
      <td role="cell" data-label="Ends">${key.expiresAt ? at(key.expiresAt, api.now()) : "never"}</td>
      <td role="cell" class="to-do">
        <button type="button" aria-label="Rotate ${nameOf(key)}" @click=${() => rotate(key)}>Rotate</button>
        <button type="button" class="danger" aria-label="Revoke ${nameOf(key)}" @click=${() => revoke(key)}>Revoke</button>
      </td>
    </tr>`;

    const shownOnce = () => html`<section class="sheet once" aria-label="The new key">
      <p><strong>This is the only time that the key is shown.</strong> Keep it where you keep passwords.</p>
      ${copyable(`Key ${nameOf(made)}`, made.key, page.announce.bind(page))}
    </section>`;

    return {
      title: "Keys",
      render: () => {
        if (refusal) return html`<p class="empty">This credential does not see the keys. ${refusal}</p>`;
        if (!all) return html`<p class="hint">Reading…</p>`;
        return [
          html`<div class="row"><button type="button" class="main" @click=${create}>Make a key</button></div>`,
          made ? shownOnce() : nothing,
          html`<table role="table" aria-label="Keys">
            <thead role="rowgroup"><tr role="row">
              ${["Key", "Id", "Scope", "Namespaces", "Made", "Ends"].map(
                (name) => html`<th role="columnheader" scope="col">${name}</th>`)}
              <th role="columnheader" scope="col"><span class="said">What to do</span></th>
            </tr></thead>
            <tbody role="rowgroup">${repeat(all, ({ keyId }) => keyId, row)}</tbody>
          </table>`,
          dialog.render(),
        ];
      },
    };
  },
};

function nameOf({ label, keyId }) {
  return label || keyId;
}

function fields() {
  return html`<label>What it is for <input name="label" maxlength="256" autocomplete="off"></label>
    <label>What it may do ${choice("scope", SCOPES)}</label>
    <label>Only in these namespaces
      <input name="ns" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="ns-hint"></label>
    <p id="ns-hint" class="hint">Names with spaces between; a * at the end of one stands for anything. Empty: all. A key of
      the scope admin is never limited.</p>
    <label>It ends ${choice("expiresIn", LIVES)}</label>`;
}
