/**
 * Changes to properties. Each is made only if the property is as the user has seen it; if it is not, both are shown and
 * the user chooses.
 */

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { parse, stringify } from "./json.js";
import { readTtl, ttlFields } from "./ttl_fields.js";
import { Shown, tree } from "./tree.js";

const LINES = { fewest: 3, most: 24 };
const IN_FORCE = ["", "time to live in force"];
const FOREVER = ["0", "forever"];

const KINDS = {
  add: { does: "Save", done: "saved", ttl: [IN_FORCE, FOREVER] },
  edit: { does: "Save", done: "saved", ttl: [IN_FORCE, ["keep", "as it is"], FOREVER] },
  touch: { does: "Set", done: "has another expiry", ttl: [IN_FORCE, FOREVER] },
  delete: { does: "Delete", done: "deleted" },
};

/** The ids of what gets the focus when a form, or the choice in a conflict, appears. */
const FIRST = "draft-first";
const CHOICE = "draft-choice";

/** The one change that is being made, if there is one. */
export class Editing {
  /** Null, or what is being done to which property as the user has seen it. */
  draft = null;

  /**
   * @param {Page} page
   * @param {import("./documents.js").Place} place
   * @param {(name: string) => Promise<void>} onDone - Called when a property has been changed.
   */
  constructor(page, place, onDone) {
    this.page = page;
    this.place = place;
    this.onDone = onDone;
  }

  /** Begins to `add` a property, or to `edit`, `touch` or `delete` one. */
  begin(kind, property = null, returnTo = null) {
    const isText = typeof property?.value === "string" || kind === "add";
    this.draft = {
      kind,
      name: property?.name ?? "",
      etag: property?.etag ?? null,
      isText,
      text: !property ? "" : isText ? property.value : stringify(property.value, 2),
      ttl: {},
      message: "",
      isBusy: false,
      returnTo,
    };
    this.page.focus(FIRST);
  }

  isAbout(name) {
    return this.draft?.kind !== "add" && this.draft?.name === name;
  }

  /** The form of the draft. */
  render() {
    const { draft } = this;
    const { does, ttl } = KINDS[draft.kind];
    const hasValue = draft.kind === "add" || draft.kind === "edit";
    const title = draft.kind === "add" ? "Add a property" : `${labelOf(draft.kind)} ${draft.name}`;
    return html`<form class="editor" aria-label=${title} @submit=${this.#submit} @keydown=${this.#escape}>
      ${draft.kind === "add" ? html`<label>Name
        <input name="name" required maxlength="256" .value=${draft.name} id=${FIRST} @input=${this.#type} autocomplete="off" autocapitalize="none" spellcheck="false"></label>` : nothing}
      ${hasValue ? this.#valueFields(draft) : nothing}
      ${draft.kind === "delete" ? html`<p>Delete <strong><bdi>${draft.name}</bdi></strong>? Its history stays, for as long as the change log keeps it.</p>` : nothing}
      <div class="row">
        ${ttl ? ttlFields(draft.kind === "touch" ? "From now on, keep it" : "Keep it", ttl, draft.ttl, this.page.update) : nothing}
        ${hasValue ? html`<label class="narrow">Value is
          <select name="kind" @change=${this.#chooseKind}>
            <option value="text" ?selected=${draft.isText}>text</option>
            <option value="json" ?selected=${!draft.isText}>JSON</option>
          </select></label>` : nothing}
      </div>
      ${draft.message ? html`<p class="error" role="alert" id="draft-message">${draft.message}</p>` : nothing}
      ${draft.current === undefined ? nothing : this.#conflict(draft)}
      ${draft.current === undefined ? html`<div class="row">
        <button class="main" ?disabled=${draft.isBusy} id=${hasValue ? nothing : FIRST}>${does}</button>
        <button type="button" @click=${this.cancel}>Cancel</button>
      </div>` : nothing}
    </form>`;
  }

  cancel = () => {
    const { returnTo } = this.draft;
    this.draft = null;
    this.page.focus(returnTo);
  };

  #valueFields(draft) {
    const lines = Math.min(Math.max(draft.text.split("\n", LINES.most).length + 1, LINES.fewest), LINES.most);
    return html`<label>Value
      <textarea name="text" rows=${lines} spellcheck="false" .value=${draft.text} @input=${this.#type}
        aria-describedby=${draft.message ? "draft-message" : nothing}
        id=${draft.kind === "edit" ? FIRST : nothing}></textarea></label>`;
  }

  /** What is there, beside what the user would put in its place. */
  #conflict({ kind, current }) {
    // What is gone can be saved anew, but not be deleted or get another expiry.
    const isOver = !current && (kind === "delete" || kind === "touch");
    const mine = kind === "delete" ? "Delete it nevertheless" : kind === "touch" ? "Set it nevertheless" : "Save mine instead";
    return html`<section class="conflict" role="alert" aria-label="It has changed">
      <p><strong>It has changed since you saw it.</strong> Nothing of yours is saved yet.</p>
      <div class="beside">
        <div><h3>There now</h3>${current ? tree(current.value, this.draft.shown) : html`<p class="hint">Nothing: it was deleted, or has expired.</p>`}</div>
        <div><h3>Yours</h3>${kind === "delete" ? html`<p class="hint">Nothing: you would delete it.</p>`
          : kind === "touch" ? html`<p class="hint">Its value would stay, and its expiry change.</p>`
          : tree(this.draft.mine, this.draft.shown, "mine")}</div>
      </div>
      <div class="row">
        ${isOver ? nothing : html`<button class="main" id=${CHOICE}>${mine}</button>`}
        <button type="button" id=${isOver ? CHOICE : nothing} @click=${this.cancel}>Keep what is there</button>
      </div>
    </section>`;
  }

  /** Keeps what is typed: the form moves if somebody deletes the property meanwhile. */
  #type = ({ target }) => {
    this.draft[target.name] = target.value;
  };

  /** A text becomes the JSON of that text, and back if it is one. */
  #chooseKind = ({ target }) => {
    const { draft } = this;
    draft.isText = target.value === "text";
    draft.text = draft.isText ? textIn(draft.text) : stringify(draft.text);
    this.page.update();
  };

  #escape = (event) => {
    if (event.key === "Escape") this.cancel();
  };

  #submit = (event) => {
    event.preventDefault();
    const { draft } = this;
    const form = event.target;
    draft.message = "";
    let operation;
    try {
      operation = this.#operation(form);
    } catch (error) {
      draft.message = `This is no JSON: ${error.message}. For text, choose that the value is text.`;
      this.page.update();
      return;
    }
    // What was seen last: at first the property as it was shown, then what the last try has found.
    if (draft.current !== undefined) draft.etag = draft.current?.etag ?? null;
    this.#send({ ...operation, ...(draft.etag ? { ifMatch: draft.etag } : { ifNoneMatch: "*" }) });
  };

  #operation(form) {
    const { draft, place } = this;
    const about = { ...place, name: draft.name };
    if (draft.kind === "delete") return { op: "delete", ...about };
    const ttl = readTtl(form);
    const lifetime = ttl === undefined ? {} : { ttl };
    if (draft.kind === "touch") return { op: "touch", ...about, ...lifetime };
    draft.mine = draft.isText ? draft.text : parse(draft.text);
    return { op: "set", ...about, value: draft.mine, ...lifetime };
  }

  async #send(operation) {
    const { draft, page } = this;
    draft.isBusy = true;
    page.update();
    try {
      await page.api.ops([operation]);
      await this.onDone(draft.name);
      if (this.draft === draft) this.cancel();
      page.announce(`${draft.name} ${KINDS[draft.kind].done}`);
    } catch (error) {
      if (error.status === 412) {
        draft.current = error.body.current;
        draft.shown = new Shown(page.update);
        page.focus(CHOICE);
      } else {
        draft.message = error.message;
      }
    } finally {
      draft.isBusy = false;
      page.update();
    }
  }
}

/** The text that a JSON text is, or the JSON text itself if it is something else. */
function textIn(json) {
  try {
    const value = parse(json);
    return typeof value === "string" ? value : json;
  } catch {
    return json;
  }
}

/** What a kind of change is called. */
export function labelOf(kind) {
  return { edit: "Edit", touch: "Expiry of", delete: "Delete" }[kind];
}
