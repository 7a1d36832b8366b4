/** A ring that empties until something expires. */

import { html, svg } from "./vendor/lit-html/lit-html.js";

const RADIUS = 8;
const CIRCUMFERENCE = 2 * Math.PI * RADIUS;

/** A ring of which this part is left, from 0 to 1; null for what does not expire. It is a picture: say it in words too. */
export function ring(part) {
  const left = part === null ? 1 : Math.min(1, Math.max(0, part));
  return html`<svg class="ring ${part === null ? "endless" : ""}" viewBox="0 0 20 20" aria-hidden="true">
    <circle class="track" cx="10" cy="10" r=${RADIUS}></circle>
    ${svg`<circle class="left" cx="10" cy="10" r=${RADIUS} transform="rotate(-90 10 10)"
      stroke-dasharray="${CIRCUMFERENCE * left} ${CIRCUMFERENCE}"></circle>`}
  </svg>`;
}
