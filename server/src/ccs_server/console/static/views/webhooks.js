/** The webhooks of the account: made, paused, resumed and deleted; how far they are behind, and why. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { several } from "../charts.js";
import { copyable } from "../copying.js";
import { Dialog } from "../dialog.js";
import { namespacesIn } from "../fields.js";
import { ago } from "../times.js";

const EVERY = 2_000;
const TYPES = ["property.set", "property.touched", "property.deleted", "property.expired", "namespace.deleted", "erasure.done"];

/** @type {import("../app.js").View} */
export const webhooks = {
  path: "webhooks",
  menu: "Webhooks",
  isForAdmins: true,

  open(page) {
    const { api } = page;
    const dialog = new Dialog(page);
    /** Webhooks by their ids, the oldest first; null until they are read. */
    let known = null;
    /** The webhook that was made last, with its secret. It is shown until the view is left. */
    let made = null;

    const poll = page.poll(async () => {
      const answer = await api.send("GET", api.ext("webhooks"), { signal: page.signal, isQuiet: true });
      known = new Map(answer.json().webhooks.map((webhook) => [webhook.id, webhook]));
      return EVERY;
    });

    const change = (id, state) => page.run(async () => {
      const changed = await api.send("PATCH", api.ext("webhooks", id), { body: { state } });
      known.set(id, changed.json());
      page.announce(state === "paused" ? "The webhook is paused. The change log keeps what it misses." : "The webhook goes on.");
    });

    function create() {
      dialog.ask({
        title: "Make a webhook",
        does: "Make it",
        body: fields,
        async act(given) {
          const types = given.getAll("types");
          const body = { url: given.get("url").trim(), ns: namespacesIn(given), types: types.length ? types : undefined };
          made = (await api.send("POST", api.ext("webhooks"), { body })).json();
          known.set(made.id, made);
          page.announce("The webhook was made. Copy its secret now: it is not shown again.");
        },
      });
    }

    function remove({ id, url }) {
      dialog.ask({
        title: "Delete a webhook",
        does: "Delete it",
        isDanger: true,
        body: () => html`<p><strong><bdi>${url}</bdi></strong> is told nothing more, and its secret is gone. This cannot be
          undone. To stop it for a while, pause it.</p>`,
        async act() {
          await api.send("DELETE", api.ext("webhooks", id));
          known.delete(id);
          if (made?.id === id) made = null;
          page.announce("The webhook was deleted.");
        },
      });
    }

    const row = (webhook) => {
      const { id, url, ns, types, state, lag, failingSince, lastError } = webhook;
      return html`<tr role="row">
        <th role="rowheader" scope="row">${url}</th>
        <td role="cell" data-label="Tells of">${wanted(ns, types)}</td>
        <td role="cell" data-label="State"><span>${state}${failingSince ? html`, <strong>failing</strong>` : nothing}</span></td>
        <td role="cell" data-label="Behind">${lag ? several(lag, "change", "changes") : "up to date"}</td>
        <td role="cell" data-label="Last error">${lastError ? html`<span>${lastError} (since ${ago(failingSince, api.now())})</span>` : "–"}</td>
        <td role="cell" class="to-do">${state === "paused"
          ? html`<button type="button" aria-label="Resume ${url}" @click=${() => change(id, "active")}>Resume</button>`
          : html`<button type="button" aria-label="Pause ${url}" @click=${() => change(id, "paused")}>Pause</button>
            ${failingSince ? html`<button type="button" aria-label="Try ${url} now" @click=${() => change(id, "active")}>Try now</button>` : nothing}`}
          <button type="button" class="danger" aria-label="Delete ${url}" @click=${() => remove(webhook)}>Delete</button>
        </td>
      </tr>`;
    };

    const shownOnce = () => html`<section class="sheet once" aria-label="The new webhook">
      <p><strong>This is the only time that the secret is shown.</strong> The receiver of ${made.url} verifies with it that
        messages come from this service.</p>
      ${copyable("Secret", made.secret, page.announce.bind(page))}
    </section>`;

    const table = () => html`<table role="table" aria-label="Webhooks">
      <thead role="rowgroup"><tr role="row">
        ${["URL", "Tells of", "State", "Behind", "Last error"].map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}
        <th role="columnheader" scope="col"><span class="said">What to do</span></th>
      </tr></thead>
      <tbody role="rowgroup">${repeat(known.values(), ({ id }) => id, row)}</tbody>
    </table>`;

    return {
      title: "Webhooks",
      render: () => {
        if (poll.refusal) return html`<p class="empty">This credential does not see the webhooks. ${poll.refusal}</p>`;
        if (!known) return html`<p class="hint">Reading…</p>`;
        return [
          html`<div class="row"><button type="button" class="main" @click=${create}>Make a webhook</button></div>`,
          made ? shownOnce() : nothing,
          known.size ? table() : html`<p class="empty">There are no webhooks. One tells a URL of what changes.</p>`,
          dialog.render(),
        ];
      },
    };
  },
};

function fields() {
  return html`<label>URL <input name="url" type="url" required placeholder="https://" autocomplete="off"></label>
    <label>Only of these namespaces
      <input name="ns" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="ns-hint"></label>
    <p id="ns-hint" class="hint">Names with spaces between. Empty: all. Only namespaces that log their changes are told of.</p>
    <fieldset><legend>Only of these changes; none is all</legend>
      ${TYPES.map((type) => html`<label class="check"><input type="checkbox" name="types" value=${type}> ${type}</label>`)}
    </fieldset>`;
}

function wanted(namespaces, types) {
  return `${types.length ? types.join(", ") : "all changes"} of ${namespaces.length ? namespaces.join(", ") : "all namespaces"}`;
}
