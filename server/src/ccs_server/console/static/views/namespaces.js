/** The namespaces of the account. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { address } from "../router.js";
import { ago, timeToLive } from "../times.js";

const AT_ONCE = 3;
const SHOWN = 50;

/** @type {import("../app.js").View} */
export const namespaces = {
  path: "namespaces",
  menu: "Namespaces",

  open(page) {
    const { api } = page;
    /** Null until they are read. */
    let found = null;
    let refusal = "";
    let shown = SHOWN;
    const settings = new Map();
    const sessions = new Map();

    page.run(async () => {
      try {
        found = (await api.send("GET", api.v1(), { signal: page.signal })).json();
      } catch (error) {
        // Tokens, and keys that are limited to a session, reach no list.
        if (error.status !== 401 && error.status !== 403) throw error;
        found = [];
        refusal = error.message;
      }
      page.update();
      await details(found.slice(0, shown));
    });

    /** Asks for what the list does not tell, of a few namespaces at a time. */
    async function details(some) {
      const waiting = some.filter(({ name }) => !sessions.has(name));
      const isAdmin = (await api.keyLabels()) !== null;
      const one = async () => {
        for (let next = waiting.shift(); next && !page.signal.aborted; next = waiting.shift()) {
          const place = api.ext("namespaces", next.name);
          const options = { signal: page.signal, isQuiet: true };
          const counted = await api.send("POST", `${place}/find`, { ...options, body: { count: true, limit: 0 } });
          sessions.set(next.name, counted.json());
          if (isAdmin) {
            try {
              settings.set(next.name, (await api.send("GET", place, options)).json());
            } catch (error) {
              // It may have been deleted meanwhile.
              if (error.status !== 404) throw error;
            }
          }
          page.update();
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
    }

    function more() {
      const begin = shown;
      shown += SHOWN;
      page.run(() => details(found.slice(begin, shown)));
    }

    const row = ({ name, createdAt, ttlSecond = 0 }) => html`<tr role="row">
      <th role="rowheader" scope="row"><a href=${address(["namespaces", name])}>${name}</a></th>
      <td role="cell" data-label="Sessions">${count(sessions.get(name))}</td>
      <td role="cell" data-label="Time to live">${timeToLive(ttlSecond)}</td>
      <td role="cell" data-label="Change log">${changes(settings.get(name))}</td>
      <td role="cell" data-label="Index">${index(settings.get(name))}</td>
      <td role="cell" data-label="Created">${ago(createdAt, api.now())}</td>
    </tr>`;

    const table = () => html`<table role="table">
      <thead role="rowgroup"><tr role="row">
        ${["Namespace", "Sessions", "Time to live", "Change log", "Index", "Created"].map(
          (name) => html`<th role="columnheader" scope="col">${name}</th>`)}
      </tr></thead>
      <tbody role="rowgroup">${repeat(found.slice(0, shown), ({ name }) => name, row)}</tbody>
    </table>
    ${found.length > shown ? html`<button type="button" @click=${more}>Show more of ${found.length}</button>` : nothing}`;

    return {
      title: "Namespaces",
      render: () => [
        found === null ? html`<p class="hint">Reading…</p>`
          : found.length ? table()
          : html`<p class="empty">${refusal ? "This credential lists no namespaces. " + refusal
            : "There are no namespaces yet: saving a property creates one."}</p>`,
        goTo(api.token),
      ],
    };
  },
};

/** A form that leads to a namespace or a session by name, for whoever knows it. */
function goTo(token) {
  function submit(event) {
    event.preventDefault();
    const { namespace, session } = Object.fromEntries(new FormData(event.target));
    location.hash = address(["namespaces", namespace, session].filter(Boolean));
  }
  return html`<form class="row" aria-label="Open by name" @submit=${submit}>
    <label>Namespace <input name="namespace" required .value=${token?.ns ?? ""} autocomplete="off" autocapitalize="none" spellcheck="false"></label>
    <label>Session, if you know it <input name="session" .value=${token?.session ?? ""} autocomplete="off" autocapitalize="none" spellcheck="false"></label>
    <button>Open</button>
  </form>`;
}

function count(found) {
  if (!found) return "…";
  return found.next ? `at least ${found.count}` : found.count;
}

function changes(settings) {
  if (!settings) return "–";
  return { off: "off", names: "names", values: "names and values" }[settings.changes];
}

function index(settings) {
  if (!settings) return "–";
  const parts = [...settings.index, ...(settings.sortByUpdate ? ["last change"] : [])];
  if (!parts.length) return "none";
  return parts.join(", ") + (settings.indexState === "building" ? " (being built)" : "");
}
