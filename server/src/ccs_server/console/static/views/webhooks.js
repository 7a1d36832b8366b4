/** The webhooks of the account: how far they are behind, why, and to pause and resume them. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { isPassing, sleep } from "../api.js";
import { several } from "../charts.js";
import { seen } from "../stream.js";
import { ago } from "../times.js";

const EVERY = 2_000;

/** @type {import("../app.js").View} */
export const webhooks = {
  path: "webhooks",
  menu: "Webhooks",
  isForAdmins: true,

  open(page) {
    const { api } = page;
    /** Null until they are read. */
    let all = null;
    let refusal = "";

    page.run(async () => {
      try {
        while (true) {
          await read();
          await sleep(EVERY, page.signal);
          await seen(page.signal);
        }
      } catch (error) {
        if (error.status !== 403) throw error;
        refusal = error.message;
      }
    });

    async function read() {
      try {
        const answer = await api.send("GET", api.ext("webhooks"), { signal: page.signal, isQuiet: true });
        all = answer.json().webhooks;
      } catch (error) {
        if (!all || !isPassing(error)) throw error;
      }
      page.update();
    }

    const change = (id, state) => page.run(async () => {
      await api.send("PATCH", api.ext("webhooks", id), { body: { state } });
      page.announce(state === "paused" ? "The webhook is paused. The change log keeps what it misses." : "The webhook goes on.");
      await read();
    });

    const row = ({ id, url, ns, types, state, lag, failingSince, lastError }) => html`<tr role="row">
      <th role="rowheader" scope="row">${url}</th>
      <td role="cell" data-label="Tells of">${wanted(ns, types)}</td>
      <td role="cell" data-label="State"><span>${state}${failingSince ? html`, <strong>failing</strong>` : nothing}</span></td>
      <td role="cell" data-label="Behind">${lag ? several(lag, "change", "changes") : "up to date"}</td>
      <td role="cell" data-label="Last error">${lastError ? html`<span>${lastError} (since ${ago(failingSince, api.now())})</span>` : "–"}</td>
      <td role="cell" class="to-do">${state === "paused"
        ? html`<button type="button" aria-label="Resume ${url}" @click=${() => change(id, "active")}>Resume</button>`
        : html`<button type="button" aria-label="Pause ${url}" @click=${() => change(id, "paused")}>Pause</button>
          ${failingSince ? html`<button type="button" aria-label="Try ${url} now" @click=${() => change(id, "active")}>Try now</button>` : nothing}`}
      </td>
    </tr>`;

    return {
      title: "Webhooks",
      render: () => {
        if (refusal) return html`<p class="empty">This credential does not see the webhooks. ${refusal}</p>`;
        if (!all) return html`<p class="hint">Reading…</p>`;
        if (!all.length) {
          return html`<p class="empty">There are no webhooks. <code>POST /${api.ext("webhooks")}</code> makes one, and
            <code>client.webhooks.create(…)</code> of the SDK.</p>`;
        }
        return html`<table role="table" aria-label="Webhooks">
          <thead role="rowgroup"><tr role="row">
            ${["URL", "Tells of", "State", "Behind", "Last error"].map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}
            <th role="columnheader" scope="col"><span class="said">What to do</span></th>
          </tr></thead>
          <tbody role="rowgroup">${repeat(all, ({ id }) => id, row)}</tbody>
        </table>`;
      },
    };
  },
};

function wanted(namespaces, types) {
  return `${types.length ? types.join(", ") : "all changes"} of ${namespaces.length ? namespaces.join(", ") : "all namespaces"}`;
}
