/** The namespaces of the account. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { address } from "../router.js";
import { timeToLive } from "../times.js";

const AT_ONCE = 3;

const COLUMNS = ["Namespace", "Sessions", "Properties", "Time to live", "Change log", "Index"];

/** @type {import("../app.js").View} */
export const namespaces = {
  path: "namespaces",
  menu: "Namespaces",

  open(page) {
    const { api } = page;
    const found = [];
    const settings = new Map();
    let next;
    let isReading = true;
    let isRead = false;
    let refusal = "";

    page.run(more);

    async function more() {
      isReading = true;
      page.update();
      try {
        const answer = await api.send("GET", api.ext("activity"), {
          query: next ? { after: next } : {}, signal: page.signal,
        });
        const part = answer.json();
        found.push(...part.namespaces);
        next = part.next;
        isRead = true;
        isReading = false;
        page.update();
        if (await api.keyLabels()) await readSettings(part.namespaces);
      } catch (error) {
        // A token of one session lists nothing.
        if (error.status !== 403) throw error;
        refusal = error.message;
      } finally {
        isReading = false;
      }
    }

    /** Asks for the settings of a few namespaces at a time. */
    async function readSettings(some) {
      const waiting = [...some];
      const one = async () => {
        for (let each = waiting.shift(); each; each = waiting.shift()) {
          try {
            const answer = await api.send("GET", api.ext("namespaces", each.ns), { signal: page.signal, isQuiet: true });
            settings.set(each.ns, answer.json());
          } catch (error) {
            // It may have been deleted meanwhile.
            if (error.status !== 404) throw error;
          }
          page.update();
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
    }

    const row = ({ ns, ttlSecond, sessions, properties }) => {
      const cells = [
        count(sessions), count(properties), timeToLive(ttlSecond), changes(settings.get(ns)), index(settings.get(ns)),
      ];
      return html`<tr role="row">
        <th role="rowheader" scope="row"><a href=${address(["namespaces", ns])}>${ns}</a></th>
        ${cells.map((cell, number) => html`<td role="cell" data-label=${COLUMNS[number + 1]}>${cell}</td>`)}
      </tr>`;
    };

    const table = () => html`<table role="table">
      <thead role="rowgroup"><tr role="row">
        ${COLUMNS.map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}
      </tr></thead>
      <tbody role="rowgroup">${repeat(found, ({ ns }) => ns, row)}</tbody>
    </table>
    ${next ? html`<div class="row"><button type="button" ?disabled=${isReading} @click=${() => page.run(more)}>Show more</button></div>` : nothing}`;

    return {
      title: "Namespaces",
      render: () => [
        found.length ? table()
          : isReading ? html`<p class="hint">Reading…</p>`
          : !isRead && !refusal ? nothing
          : html`<p class="empty">${refusal ? `This credential lists no namespaces. ${refusal}`
            : "There are no namespaces yet: saving a property creates one."}</p>`,
        goTo(api.token),
      ],
    };
  },
};

/** A form that leads to a namespace or a session by its name. */
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

function count({ count: number, estimated }) {
  return `${estimated ? "about " : ""}${number.toLocaleString("en")}`;
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
