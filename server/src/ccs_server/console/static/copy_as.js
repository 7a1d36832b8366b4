/** The latest request as a command for a shell, and as a line for the Python SDK. Neither has the credential. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { copyable } from "./copying.js";
import { ExactNumber, parse } from "./json.js";
import { match } from "./router.js";

const LONGEST_BODY = 20_000;
const DEFAULT_SESSION = "__default__";

/** What was sent last, to copy. Shown once there is something. */
export class LastRequest {
  #isOpen = false;

  /** @param {() => void} update - Renders again. @param {(text: string) => void} announce */
  constructor(update, announce) {
    Object.assign(this, { update, announce });
  }

  /** @param {import("./api.js").Api} api */
  render(api) {
    const [last] = api.exchanges;
    if (!last) return nothing;
    return html`<details class="last" ?open=${this.#isOpen} @toggle=${this.#toggle}>
      <summary>The last request: <code>${last.method} /${last.path}</code> → ${last.status}</summary>
      ${this.#isOpen ? this.#copies(api, last) : nothing}
    </details>`;
  }

  #copies(api, last) {
    const line = python(api, last);
    return html`<p class="hint">Both take the key from the variable <code>CCS_API_KEY</code>.</p>
      ${last.body?.length > LONGEST_BODY ? html`<p class="hint">The body is too long to be copied: save it as the file <code>body</code>.</p>` : nothing}
      ${copyable("As curl", curl(api, last), this.announce)}
      ${line ? copyable("As Python", line, this.announce) : html`<p class="hint">The SDK has no method for this one alone.</p>`}`;
  }

  #toggle = ({ target }) => {
    if (target.open === this.#isOpen) return;
    this.#isOpen = target.open;
    this.update();
  };
}

/** A request as a command of a POSIX shell. */
export function curl(api, { method, path, query, headers, body }) {
  const parts = [`curl -sS${method === "GET" ? "" : ` -X ${method}`} ${quoted(api.urlOf(path, query).href)}`];
  parts.push(`-H "${api.token ? "Authorization: Bearer " : "maven-api-key: "}$CCS_API_KEY"`);
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) {
    if (!headers["Content-Type"]) parts.push("-H 'Content-Type: application/json'");
    parts.push(`--data-binary ${body.length > LONGEST_BODY ? "@body" : quoted(body)}`);
  }
  return parts.join(" \\\n  ");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A request as a program that uses the SDK; null if it has no method that sends the like. */
export function python(api, exchange) {
  const segments = exchange.path.split("/").map(decodeURIComponent);
  for (const [method, pattern, write] of METHODS) {
    const place = method === exchange.method && match(pattern, segments);
    if (!place) continue;
    const body = exchange.body === undefined || exchange.headers["Content-Type"] ? null : parse(exchange.body);
    const call = write({ ...place, body, query: exchange.query });
    if (!call) return null;
    const address = `${literal(api.urlOf("", {}).origin)}, ${literal(api.account)}`;
    const imports = call.includes("Decimal(") ? "from decimal import Decimal\n\n" : "";
    return `${imports}from ccs_sdk import ContextClient\n\nclient = ContextClient(${address})\n${call}`;
  }
  return null;
}

const EXT = "ext/v1/:account";

/** What the console sends, and the method of the SDK that does the same. */
const METHODS = [
  ["GET", "v1/account/:account", () => "print(client.list_namespaces())"],
  ["POST", `${EXT}/ops`, ({ body }) => (body.ops.length === 1 ? operation(body.ops[0]) : null)],
  ["POST", `${EXT}/namespaces/:ns/find`, ({ ns, body }) =>
    `for hit in ${handle({ ns })}.find(${options({
      where: body.where, prefix: body.sessionPrefix || undefined, fields: body.fields, sort: body.sort, limit: body.limit,
    })}):\n    print(hit)`],
  ["PATCH", `${EXT}/namespaces/:ns`, ({ ns, body }) => `${handle({ ns })}.configure(${options({
    changes: body.changes, keep_changes: body.keepChanges, index: body.index, sort_by_update: body.sortByUpdate,
  })})`],
  ["GET", `${EXT}/activity`, ({ query }) => `print(client.activity(${options({ after: query.after })}))`],
  ["GET", `${EXT}/keys`, () => "print(client.keys.list())"],
  ["POST", `${EXT}/keys`, ({ body }) => `print(client.keys.create(${options({
    scope: body.scope, label: body.label || undefined, namespaces: body.ns, expires_in: body.expiresIn,
  })}).key)`],
  ["POST", `${EXT}/keys/:id/rotate`, ({ id, body }) => `print(client.keys.rotate(${literal(id)}, overlap=${body.overlap}).key)`],
  ["DELETE", `${EXT}/keys/:id`, ({ id }) => `client.keys.delete(${literal(id)})`],
  ["GET", `${EXT}/jobs`, () => "print(list(client.jobs.list()))"],
  ["POST", `${EXT}/jobs`, ({ body }) => `client.erase(${options({
    value: body.match.value, session_id: body.match.sessionId, name: body.match.name, contains: body.contains || undefined,
    scope: body.scope, namespaces: body.ns, reference: body.reference || undefined, dry_run: body.dryRun,
  })}).wait(progress=True)`],
  ["DELETE", `${EXT}/jobs/:id`, ({ id }) => `client.jobs.get(${literal(id)}).cancel()`],
  ["GET", `${EXT}/webhooks`, () => "print(client.webhooks.list())"],
  ["POST", `${EXT}/webhooks`, ({ body }) =>
    `print(client.webhooks.create(${[literal(body.url), options({ namespaces: body.ns, types: body.types })].filter(Boolean).join(", ")}).secret)`],
  ["DELETE", `${EXT}/webhooks/:id`, ({ id }) => `client.webhooks.delete(${literal(id)})`],
  ["PATCH", `${EXT}/webhooks/:id`, ({ id, body }) =>
    body.state === "paused" ? `client.webhooks.pause(${literal(id)})` : `client.webhooks.resume(${literal(id)})`],
  ["GET", `${EXT}/export`, ({ query }) => `client.export("export.ndjson"${query.ns ? `, namespace=${literal(query.ns)}` : ""})`],
  ["POST", `${EXT}/import`, ({ query }) => `print(client.import_from("export.ndjson"${query.mode === "keep" ? ", keep=True" : ""}))`],
];

function operation({ op, ns, session, name, names, value, ttl, ifMatch, ifNoneMatch }) {
  const on = handle({ ns, session });
  const terms = options({ if_match: ifMatch, if_none_match: ifNoneMatch, ttl });
  switch (op) {
    case "set": return name === undefined ? null : `${on}.set(${[literal(name), literal(value), terms].filter(Boolean).join(", ")})`;
    case "delete": return name === undefined ? null : `${on}.delete(${[literal(name), options({ if_match: ifMatch })].filter(Boolean).join(", ")})`;
    case "touch": return `${on}.touch(${[literal(names ?? [name]), options({ ttl })].filter(Boolean).join(", ")})`;
    case "get": return `print(${on}${name !== undefined ? `.read(${literal(name)})` : names ? `.only(${literal(names)})` : ".all()"})`;
    default: return null;
  }
}

function handle({ ns, session }) {
  const of = session && session !== DEFAULT_SESSION ? `.session(${literal(session)})` : "";
  return `client.namespace(${literal(ns)})${of}`;
}

/** Arguments by name, without those that are not given. */
function options(given) {
  return Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${literal(value)}`)
    .join(", ");
}

/** A JSON value as an expression of Python. A string of JSON is one of Python, too. */
export function literal(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (value instanceof ExactNumber) return /^-?\d+$/.test(value.source) ? value.source : `Decimal("${value.source}")`;
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, member]) => `${literal(name)}: ${literal(member)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
