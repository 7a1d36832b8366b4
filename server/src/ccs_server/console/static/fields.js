/** Fields of forms that several views have. */

import { html } from "./vendor/lit-html/lit-html.js";

/** A field whose value is one of some options: values and labels. */
export function choice(name, options) {
  return html`<select name=${name}>${options.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select>`;
}

/** Namespaces that were typed with spaces or commas between; undefined if there are none. */
export function namespacesIn(given) {
  const names = given.get("ns").split(/[\s,]+/).filter(Boolean);
  return names.length ? names : undefined;
}
