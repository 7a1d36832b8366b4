/** What concerns a conversation as a whole: its time to live, its lease, and its end. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { hasTag } from "./documents.js";
import { parse } from "./json.js";
import { at, duration, timeToLive } from "./times.js";
import { readTtl, ttlFields } from "./ttl_fields.js";

const DEFAULT_SESSION = "__default__";
/** No value has this tag, so nothing that needs it takes place. */
const NO_TAG = `"${"0".repeat(32)}"`;

/**
 * @param {Page} page
 * @param {import("./documents.js").Place} place
 * @param {import("./watching.js").Watch} watch
 */
export function about(page, place, watch) {
  const { api } = page;
  const isNamespace = place.session === DEFAULT_SESSION;
  // The entity tag of a document, on which the deletion is conditional, is in the response to a key.
  const canDelete = hasTag(api, place);
  const ttl = {};
  /** Seconds; null if none was set on the session, undefined while it is not known. */
  let current;
  let message = "";
  /** What is known of the lease: undefined if nobody has asked, null if nobody has it. */
  let lease;
  /** The entity tag of what is to be deleted, while the user is asked. */
  let deleting = null;

  /** Does something, and says here why it cannot be done. */
  async function attempt(work) {
    message = "";
    try {
      await work();
    } catch (error) {
      if (page.signal.aborted) return;
      message = error.message;
    }
    page.update();
  }

  function open({ target }) {
    if (target.open && current === undefined) attempt(readTimeToLive);
  }

  /** An export of the session begins with its time to live, if it has one. */
  async function readTimeToLive() {
    const answer = await api.send("GET", api.ext("export"), {
      query: { ...(isNamespace ? { ns: place.ns } : place), limit: 1 }, signal: page.signal, isQuiet: true,
    });
    const first = parse(answer.text.split("\n")[0]);
    current = first.name === undefined ? (first.ttlSecond ?? null) : null;
  }

  function setTimeToLive(event) {
    event.preventDefault();
    const seconds = readTtl(event.target);
    attempt(async () => {
      const path = isNamespace ? api.v1() : api.v1("namespace", place.ns, "session");
      const body = isNamespace ? { name: place.ns } : { sessionId: place.session };
      await api.send("POST", path, { query: { ttlSecond: seconds }, body });
      current = seconds;
      page.announce("Time to live set");
    });
  }

  /**
   * No request reads a lease. This one asks for it, and is refused as a whole for what comes second: so it takes
   * nothing, and tells who has the lease if somebody has.
   */
  function findLease() {
    attempt(async () => {
      const operations = [
        { op: "lease", ...place, owner: "console", seconds: 1 },
        { op: "delete", ...place, names: [], ifMatch: NO_TAG },
      ];
      try {
        await api.ops(operations, { isQuiet: true });
      } catch (error) {
        if (error.status === 412) lease = null;
        else if (error.status === 423) lease = error.body.lease;
        else throw error;
      }
    });
  }

  function ask() {
    attempt(async () => {
      await watch.refresh();
      deleting = watch.etag;
      page.focus("delete-all");
    });
  }

  function keep() {
    deleting = null;
    message = "";
    page.focus("delete-session");
  }

  function remove(event) {
    event.preventDefault();
    attempt(async () => {
      try {
        await api.ops([{ op: "delete", ...place, ifMatch: deleting }]);
        deleting = null;
        await watch.refresh();
        page.announce("Conversation deleted");
      } catch (error) {
        if (error.status !== 412) throw error;
        await watch.refresh();
        deleting = watch.etag;
        message = "It has changed since you were asked, and nothing is deleted. What is there now is shown above. Delete it nevertheless?";
      }
    });
  }

  const timeToLiveForm = () => html`<form aria-label="Time to live" @submit=${setTimeToLive}>
    <p>${current === undefined ? "What is saved from now on lives as long as is set here."
      : current === null ? "No time to live is set on this session: that of the namespace applies to what is saved."
      : html`What is saved lives <strong>${timeToLive(current)}</strong>, unless the save says otherwise.`}</p>
    <div class="row">${ttlFields("Time to live", [["0", "forever"]], ttl, page.update)}
      <button>Set</button></div>
  </form>`;

  const leaseLine = () => html`<div class="row">
    <button type="button" @click=${findLease}>Who has the lease?</button>
    <p role="status">${lease === undefined ? nothing
      : lease === null ? "Nobody has it."
      : Date.parse(lease.expiresAt) <= api.now() ? html`<bdi>${lease.owner}</bdi> had it until ${at(lease.expiresAt, api.now())}, unless it was renewed.`
      : html`<bdi>${lease.owner}</bdi> has it for ${duration((Date.parse(lease.expiresAt) - api.now()) / 1000)} more, until ${at(lease.expiresAt, api.now())}.`}</p>
  </div>`;

  const deletion = () => deleting
    ? html`<form class="row" aria-label="Delete all properties" @submit=${remove}>
        <p>Delete all ${watch.known.properties.size} properties?</p>
        <button class="danger" id="delete-all">Delete all</button><button type="button" @click=${keep}>Keep them</button></form>`
    : html`<div class="row"><button type="button" class="danger" id="delete-session" @click=${ask}>Delete all properties…</button></div>`;

  return {
    render: () => html`<details class="sheet about" @toggle=${open}>
      <summary><h2>${isNamespace ? "The namespace" : "The conversation"} as a whole</h2></summary>
      ${message ? html`<p class="error" role="alert">${message}</p>` : nothing}
      ${timeToLiveForm()}
      ${isNamespace ? nothing : leaseLine()}
      ${canDelete && watch.known.properties.size ? deletion() : nothing}
    </details>`,
  };
}
