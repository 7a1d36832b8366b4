/** The sessions of a namespace, found by their ids, by a property, or by their last change. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { sleep } from "../api.js";
import { parse, stringify } from "../json.js";
import { address } from "../router.js";
import { ago } from "../times.js";

const DEFAULT_SESSION = "__default__";
const PER_PAGE = 100;
const LONG = 120;

const OPERATORS = [
  ["$eq", "is"],
  ["$prefix", "begins with"],
  ["$gte", "is at least"],
  ["$lte", "is at most"],
  ["$exists", "exists"],
];

/** @type {import("../app.js").View} */
export const sessions = {
  path: "namespaces/:namespace",

  open(page, { namespace }) {
    const { api, query } = page;
    const asked = Object.fromEntries(
      ["prefix", "name", "operator", "value", "sort"].map((name) => [name, query.get(name) ?? ""]),
    );
    const found = [];
    let next;
    let isReading = true;
    let isRead = false;
    /** What the service says of an order that it does not have, or not yet. */
    let refusal = null;
    let isAdmin = false;

    page.run(search);

    async function search() {
      try {
        await more();
        refusal = null;
      } catch (error) {
        if (!asked.sort || (error.status !== 400 && error.status !== 409)) throw error;
        refusal = error;
        if (error.status === 409) {
          page.update();
          await sleep(1000 * error.headers.get("Retry-After"), page.signal);
          await search();
        } else {
          isAdmin = (await api.keyLabels()) !== null;
        }
      }
    }

    /** Reads on until there is something to show: a request that looked at many sessions may have found none. */
    async function more() {
      isReading = true;
      page.update();
      try {
        const before = found.length;
        do {
          const answer = await api.send("POST", api.ext("namespaces", namespace, "find"), {
            body: { ...bodyOf(asked), limit: PER_PAGE, ...(next && { after: next }) },
            signal: page.signal,
          });
          const part = answer.json();
          found.push(...part.sessions);
          next = part.next;
          isRead = true;
        } while (next && found.length === before);
      } finally {
        isReading = false;
      }
    }

    function submit(event) {
      event.preventDefault();
      const given = Object.fromEntries(new FormData(event.target));
      page.search(given.name ? given : { ...given, operator: "", value: "" });
    }

    /** Has the namespace index the last change of its sessions, for who may. */
    function switchOn() {
      page.run(async () => {
        await api.send("PATCH", api.ext("namespaces", namespace), { body: { sortByUpdate: true } });
        await search();
      });
    }

    const refused = () => html`<section class="sheet" aria-label="The order">
      <p role="status">${refusal.message}</p>
      ${refusal.status === 409 ? nothing : isAdmin ? html`<div class="row">
          <button type="button" @click=${switchOn}>Switch on the order by last change</button>
          <p class="hint">Each save of the namespace then costs a little more.</p></div>`
        : html`<p class="hint">The holder of an admin key switches it on, here or with
          <code>PATCH ${api.ext("namespaces", namespace)}</code> <code>{"sortByUpdate": true}</code>.</p>`}
    </section>`;

    const row = ({ sessionId, updatedAt, properties }) => html`<tr role="row">
      <th role="rowheader" scope="row"><a href=${address(["namespaces", namespace, sessionId])}><bdi>${sessionId}</bdi></a>
        ${sessionId === DEFAULT_SESSION ? html`<span class="hint">properties of the namespace itself</span>` : nothing}</th>
      ${asked.name ? html`<td role="cell" data-label=${asked.name}><code>${short(properties[asked.name])}</code></td>` : nothing}
      <td role="cell" data-label="Last change">${ago(updatedAt, api.now())}</td>
    </tr>`;

    const table = () => html`<table role="table">
      <thead role="rowgroup"><tr role="row">
        ${["Session", ...(asked.name ? [asked.name] : []), "Last change"].map(
          (name) => html`<th role="columnheader" scope="col"><bdi>${name}</bdi></th>`)}
      </tr></thead>
      <tbody role="rowgroup">${repeat(found, ({ sessionId }) => sessionId, row)}</tbody>
    </table>`;

    const results = () => [
      found.length ? table() : nothing,
      html`<div class="row" aria-busy=${isReading}>
        <p class="hint" role="status">${
          isReading ? "Looking…"
          : found.length ? `${found.length} ${found.length === 1 ? "session" : "sessions"}${next ? " so far" : ""}`
          : isRead ? "No session is like this." : nothing}</p>
        ${next && !isReading ? html`<button type="button" @click=${() => page.run(more)}>Show more</button>` : nothing}
      </div>`,
      asked.prefix && isRead && !isReading && !found.some(({ sessionId }) => sessionId === asked.prefix)
        ? html`<p class="hint">There may be no session <bdi>${asked.prefix}</bdi>.
            <a href=${address(["namespaces", namespace, asked.prefix])}>Open it</a> to save something in it.</p>`
        : nothing,
    ];

    return {
      title: namespace,
      trail: [["Namespaces", address(["namespaces"])]],
      render: () => [
        html`<p><a href=${address(["namespaces", namespace, DEFAULT_SESSION])}>Its own properties and its time to live</a></p>`,
        form(asked, submit), refusal ? refused() : results(),
      ],
    };
  },
};

function form(asked, submit) {
  return html`<form class="sheet row" role="search" aria-label="Find sessions" @submit=${submit}>
    <label>Session begins with
      <input name="prefix" .value=${asked.prefix} autocomplete="off" autocapitalize="none" spellcheck="false"></label>
    <label>Property
      <input name="name" .value=${asked.name} autocomplete="off" autocapitalize="none" spellcheck="false"></label>
    <label class="narrow">Condition
      <select name="operator">${OPERATORS.map(
        ([operator, label]) => html`<option value=${operator} ?selected=${operator === asked.operator}>${label}</option>`)}
      </select></label>
    <label>Value
      <input name="value" .value=${asked.value} autocomplete="off" autocapitalize="none" spellcheck="false"
        title="A number, true, false or null; all else is text. Text that looks like a number goes in quotes."></label>
    <label class="narrow">Order
      <select name="sort">
        <option value="">by id</option>
        <option value="-updatedAt" ?selected=${asked.sort === "-updatedAt"}>by last change</option>
      </select></label>
    <button class="main">Find</button>
  </form>`;
}

/** The body of `find` for what was asked. */
function bodyOf({ prefix, name, operator, value, sort }) {
  const body = { sessionPrefix: prefix };
  if (sort) body.sort = sort;
  if (name) {
    const operand = operator === "$exists" ? true : operator === "$prefix" ? value : scalar(value);
    body.where = { [name]: { [operator || "$eq"]: operand } };
    body.fields = [name];
  }
  return body;
}

/** What a person means by a text: a JSON scalar if it is one, else the text itself. */
function scalar(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

function short(value) {
  const text = stringify(value);
  return text.length > LONG ? `${text.slice(0, LONG)}…` : text;
}
