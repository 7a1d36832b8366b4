/** JSON values as trees. Parts that are closed are not in the page, so a large value costs what is looked at. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { hasParts, stringify } from "./json.js";

const LONG = 500;
const PARTS = 50;
const FEW = 8;

/** What of a value is shown in full: paths within it, of parts that are open and of texts and lists that are long. */
export class Shown {
  /** The number of parts that are shown, by path. */
  parts = new Map();
  texts = new Set();

  constructor(update) {
    this.update = update;
  }
}

/** A value. `shown` is kept between renderings. */
export function tree(value, shown, path = "") {
  return hasParts(value) ? branch(value, shown, path) : leaf(value, shown, path);
}

function branch(value, shown, path) {
  const isArray = Array.isArray(value);
  const names = isArray ? value.keys() : Object.keys(value);
  const size = isArray ? value.length : names.length;
  if (!size) return html`<code class="value">${isArray ? "[]" : "{}"}</code>`;
  const isOpen = shown.parts.get(path) ?? (size <= FEW && depth(path) < 2 ? PARTS : 0);
  const toggle = ({ target }) => {
    // What is opened by rendering is told too.
    if (target.open === isOpen > 0) return;
    shown.parts.set(path, target.open ? PARTS : 0);
    shown.update();
  };
  const more = () => {
    shown.parts.set(path, isOpen + 10 * PARTS);
    shown.update();
  };
  const part = (name) => {
    const below = `${path}/${name}`;
    return html`<li><span class="name"><bdi>${name}</bdi></span><div class="part">${tree(value[name], shown, below)}</div></li>`;
  };
  return html`<details class="branch" ?open=${isOpen > 0} @toggle=${toggle}>
    <summary>${isArray ? `${size} ${size === 1 ? "element" : "elements"}` : brief(names)}</summary>
    ${isOpen ? html`<ul>${[...names].slice(0, isOpen).map(part)}</ul>` : nothing}
    ${isOpen && size > isOpen ? html`<button type="button" class="plain" @click=${more}>Show more of ${size}</button>` : nothing}
  </details>`;
}

function leaf(value, shown, path) {
  const text = typeof value === "string" ? value : stringify(value);
  const kind = typeof value === "string" ? "text" : value === null ? "null" : typeof value === "boolean" ? "truth" : "number";
  if (text.length <= LONG) return html`<span class="value ${kind}">${kind === "text" ? quoted(text) : text}</span>`;
  const isWhole = shown.texts.has(path);
  const toggle = () => {
    if (isWhole) shown.texts.delete(path);
    else shown.texts.add(path);
    shown.update();
  };
  return html`<span class="value ${kind} ${isWhole ? "whole" : ""}" tabindex=${isWhole ? 0 : nothing}
      role=${isWhole ? "group" : nothing} aria-label=${isWhole ? "The whole text" : nothing}>${
      isWhole ? text : `${text.slice(0, LONG)}…`}</span>
    <button type="button" class="plain" aria-expanded=${isWhole} @click=${toggle}>${
      isWhole ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}</button>`;
}

function depth(path) {
  return path.split("/").length - 1;
}

/** An empty text, or one with spaces around it, would not be seen. */
function quoted(text) {
  return text === text.trim() && text ? text : stringify(text);
}

function brief(names) {
  const text = names.slice(0, FEW).join(", ");
  return names.length > FEW || text.length > LONG ? `${text.slice(0, LONG)}, … (${names.length} members)` : text;
}
