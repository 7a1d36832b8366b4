/** What has become of a conversation, or of one of its properties, as far as the change log goes back. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { differences, valueAlone } from "../differences.js";
import { address } from "../router.js";
import { ago, at, duration } from "../times.js";
import { writer } from "../writers.js";

const PER_PAGE = 100;
const MOST_REQUESTS = 10;

const WHAT = {
  "property.touched": "has another expiry",
  "property.deleted": "deleted",
  "property.expired": "expired",
  "namespace.deleted": "The namespace was deleted, with all that was in it",
};

/** The log also says when an erasure has ended, of whatever sessions: that is no part of the history of this one. */
const TYPES = ["property.set", ...Object.keys(WHAT)];

/** @type {import("../app.js").View} */
export const conversationHistory = {
  path: "namespaces/:namespace/:session/history",

  open(page, { namespace, session }) {
    const { api, query } = page;
    const name = query.get("name");
    /** The newest first. */
    const changes = [];
    /** The differences that each change has made, which are found once. */
    const shown = new Map();
    let next;
    let isReading = true;
    let isRead = false;
    let labels = null;

    page.run(async () => {
      labels = await api.keyLabels();
      await more();
    });

    async function more() {
      isReading = true;
      page.update();
      const before = changes.length;
      try {
        // A request that looked at many changes may have found few.
        for (let request = 0; request < MOST_REQUESTS; request += 1) {
          const answer = await api.send("GET", api.ext("changes"), {
            query: { ns: namespace, session, ...(name && { name }), type: TYPES, order: "desc", limit: PER_PAGE - changes.length + before, ...(next && { after: next }) },
            signal: page.signal,
          });
          const part = answer.json();
          changes.push(...part.changes);
          next = part.next;
          isRead = true;
          if (!next || changes.length - before >= PER_PAGE) break;
        }
        // What was the oldest has something before it now.
        for (const [id, { isOldest }] of shown) if (isOldest) shown.delete(id);
      } finally {
        isReading = false;
      }
    }

    /** The change of the same property before; undefined if the log does not go back so far, or has not been read so far. */
    function before(index) {
      return changes.slice(index + 1).find((one) => one.name === changes[index].name && one.type !== "property.touched");
    }

    function differencesOf(index) {
      const change = changes[index];
      if (!shown.has(change.id)) {
        const previous = before(index);
        shown.set(change.id, {
          isOldest: !previous,
          text: !previous && next ? html`${valueAlone(change.value)}<p class="hint">Show older changes to see what it was before.</p>`
            : previous && previous.type === "property.set" && previous.value === undefined ? withoutValues
            : differences(previous?.value, change.value),
        });
      }
      return shown.get(change.id).text;
    }

    function entry(moment) {
      const [{ time, by }] = moment;
      return html`<li><p class="when">${at(time, api.now())} <span class="hint">${ago(time, api.now())}</span>
          ${by ? html`<span class="who">by <bdi>${writer(by, labels, api.keyId)}</bdi></span>` : nothing}</p>
        <ul>${moment.map(part)}</ul></li>`;
    }

    function part({ index, type, name: changed, value, expiresAt, time }) {
      const lives = expiresAt ? `expires ${duration((Date.parse(expiresAt) - Date.parse(time)) / 1000)} later` : "does not expire";
      const is = type === "property.set" ? html`<span class="hint">${lives}</span>`
        : type === "property.touched" ? html`${WHAT[type]}, <span class="hint">${lives}</span>`
        : WHAT[type];
      return html`<li>${changed === undefined ? nothing : html`<h2><bdi>${changed}</bdi></h2>`} <p>${is}</p>
        ${type !== "property.set" ? nothing : value === undefined ? withoutValues : differencesOf(index)}</li>`;
    }

    const list = () => html`<ol class="history" aria-label="Changes, the newest first" reversed>
      ${repeat(momentsOf(changes), ([{ id }]) => id, entry)}</ol>`;

    const conversation = ["namespaces", namespace, session];
    return {
      title: name === null ? "History" : `History of ${name}`,
      trail: [
        ["Namespaces", address(["namespaces"])],
        [namespace, address(["namespaces", namespace])],
        [session, address(conversation)],
        ...(name === null ? [] : [["History", address([...conversation, "history"])]]),
      ],
      render: () => [
        changes.length ? list() : isReading || next || !isRead ? nothing : html`<p class="empty">The change log has nothing of this.
          A namespace is logged from the moment on at which its setting <code>changes</code> is switched on.</p>`,
        isReading ? html`<p class="hint" role="status">Reading…</p>`
          : next ? html`<div class="row"><button type="button" @click=${() => page.run(more)}>Show older changes</button></div>`
          : changes.length ? html`<p class="hint">The log goes back no further.</p>` : nothing,
      ],
    };
  },
};

const withoutValues = html`<p class="hint">The log has no values of it.</p>`;

/** Changes that were made at once, together. */
function momentsOf(changes) {
  const moments = [];
  for (const [index, change] of changes.entries()) {
    const last = moments.at(-1)?.[0];
    if (last?.time === change.time && last.by === change.by) moments.at(-1).push({ ...change, index });
    else moments.push([{ ...change, index }]);
  }
  return moments;
}
