/** Text to copy: with a button, or by hand where the browser has no clipboard for pages that came without TLS. */

import { html } from "./vendor/lit-html/lit-html.js";

/** A field with a text, and the button that copies it. `announce` tells what became of it. */
export function copyable(label, text, announce) {
  async function copy({ target }) {
    const field = target.closest(".copyable").querySelector("textarea, input");
    field.select();
    try {
      await navigator.clipboard.writeText(text);
      announce(`${label}: copied.`);
    } catch {
      // The text is selected.
      announce("This browser does not let the page copy. The text is selected: press Ctrl+C.");
    }
  }
  const field = text.includes("\n")
    ? html`<textarea readonly rows=${text.split("\n").length} .value=${text}></textarea>`
    : html`<input readonly .value=${text}>`;
  return html`<div class="copyable">
    <label>${label} ${field}</label>
    <button type="button" @click=${copy}>Copy</button>
  </div>`;
}
