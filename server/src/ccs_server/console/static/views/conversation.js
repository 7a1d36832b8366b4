/** One conversation as it is now, and while it changes. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { about } from "../about_session.js";
import { Editing, labelOf } from "../editing.js";
import { address } from "../router.js";
import { ring } from "../ring.js";
import { ago, at, duration } from "../times.js";
import { Shown, tree } from "../tree.js";
import { Watch } from "../watching.js";
import { writer } from "../writers.js";

const SHOWN = 100;
const ADD = "add-property";

const MODES = {
  reading: "Reading…",
  live: "Live: changes show as they happen",
  polling: "Asking for changes every 2 seconds: this namespace logs none",
  away: "Not connected. Trying again…",
  stopped: "No longer kept up to date",
};

/** @type {import("../app.js").View} */
export const conversation = {
  path: "namespaces/:namespace/:session",

  open(page, { namespace, session }) {
    const { api } = page;
    const place = { ns: namespace, session };
    const segments = ["namespaces", namespace, session];
    const shownParts = new Map();
    let shown = SHOWN;
    let labels = null;

    const watch = new Watch(page, place, (changes) => {
      if (changes.length) page.announce(changes.map(([name, what]) => `${name} ${what}`).join(", "));
      page.update();
    });
    const editing = new Editing(page, place, (name) => watch.refresh([name]));
    const whole = about(page, place, watch);
    page.run(() => watch.start());
    page.run(async () => {
      labels = await api.keyLabels();
    });
    const timer = setInterval(() => {
      watch.expire();
      page.update();
    }, 1000);
    page.signal.addEventListener("abort", () => clearInterval(timer));

    function shownOf(name) {
      if (!shownParts.has(name)) shownParts.set(name, new Shown(page.update));
      return shownParts.get(name);
    }

    function property(one, number) {
      const action = (kind, text) => {
        const id = `${kind}-${number}`;
        return html`<button type="button" class="plain" id=${id} aria-label="${labelOf(kind)} ${one.name}"
          @click=${() => editing.begin(kind, one, id)}>${text}</button>`;
      };
      return html`<li class="property" data-changed=${one.changes ? one.changes % 2 : nothing}>
        <article aria-labelledby="property-${number}">
          ${expiryRing(one, api.now())}
          <h2 id="property-${number}"><bdi>${one.name}</bdi></h2>
          <div class="content">${tree(one.value, shownOf(one.name))}</div>
          <p class="hint">${expiry(one, api.now())} · ${saved(one, watch.writerOf(one))}</p>
          ${editing.isAbout(one.name) ? editing.render() : html`<div class="actions">
            ${action("edit", "Edit")}${action("touch", "Expiry")}
            <a href=${address([...segments, "history"], { name: one.name })} aria-label="History of ${one.name}">History</a>
            ${action("delete", "Delete")}
          </div>`}
        </article>
      </li>`;
    }

    function saved({ updatedAt }, by) {
      const now = api.now();
      const who = by ? html` by <bdi>${writer(by, labels, api.keyId)}</bdi>` : nothing;
      return updatedAt ? html`saved ${ago(updatedAt, now)}${who}` : html`saved before times were recorded`;
    }

    function showMore() {
      shown += SHOWN;
      page.update();
    }

    const properties = () => {
      const all = [...watch.known.properties.values()];
      const { draft } = editing;
      return [
        all.length ? html`<ul class="properties" aria-label="Properties">
          ${repeat(all.slice(0, shown), ({ name }) => name, property)}</ul>`
          : html`<p class="empty">Nothing is known of this conversation.</p>`,
        all.length > shown ? html`<button type="button" @click=${showMore}>Show more of ${all.length} properties</button>` : nothing,
        draft?.kind === "add" || (draft && !watch.known.properties.has(draft.name))
          ? html`<div class="sheet">${editing.render()}</div>`
          : html`<div class="row"><button type="button" id=${ADD} @click=${() => editing.begin("add", null, ADD)}>Add a property</button></div>`,
        whole.render(),
      ];
    };

    return {
      title: session,
      trail: [["Namespaces", address(["namespaces"])], [namespace, address(["namespaces", namespace])]],
      render: () => [
        html`<div class="row"><p class="mode ${watch.mode}" role="status">${MODES[watch.mode]}</p>
          <a class="aside" href=${address([...segments, "history"])}>History</a></div>`,
        watch.known.isRead ? properties() : nothing,
      ],
    };
  },
};

function expiryRing({ expiresAt, lifetime }, now) {
  return ring(expiresAt ? (Date.parse(expiresAt) - now) / lifetime : null);
}

function expiry({ expiresAt }, now) {
  if (!expiresAt) return "does not expire";
  return html`expires in ${duration((Date.parse(expiresAt) - now) / 1000)}, at ${at(expiresAt, now)}`;
}
