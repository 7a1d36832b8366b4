/** Bar charts. Each has a sentence that tells the same, and a table for those who want the numbers. */

import { html, nothing, svg } from "./vendor/lit-html/lit-html.js";

const HEIGHT = 100;
const STEP = 10;
const GAP = 2;

const exact = new Intl.NumberFormat();
const rough = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** A number as people read it. */
export function number(count) {
  return exact.format(count);
}

/** A number of things: `1 property`, `2,000 properties`. */
export function several(count, one, many) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** A count of the service, which may be an estimate: `about 12,000`. */
export function counted({ count, estimated }) {
  return estimated ? `about ${rough.format(count)}` : exact.format(count);
}

/** A time of day. */
export function timeOfDay(time) {
  return hour.format(new Date(time));
}

/**
 * @typedef {object} Bar
 * @property {string} label - What it is of, such as a time.
 * @property {number} count
 * @property {boolean} [estimated]
 */

/** A chart, and which of its parts are open. */
export class Chart {
  #isOpen = false;

  /** @param {() => void} update - Renders again. */
  constructor(update) {
    this.update = update;
  }

  /**
   * @param {string} title
   * @param {string} summary - What the chart shows, as a sentence.
   * @param {Bar[]} bars
   * @param {[string, string]} ends - What is written below the first and the last bar.
   * @param {string} unit - What a bar is, as the heading of the table.
   */
  render(title, summary, bars, ends, unit) {
    const most = Math.max(1, ...bars.map(({ count }) => count));
    return html`<figure class="chart sheet">
      <figcaption><h2>${title}</h2><p class="hint">${summary}</p></figcaption>
      <div class="plot">
        <span class="most" aria-hidden="true">${number(most)}</span>
        <svg role="img" aria-label="${title}: ${summary}" viewBox="0 0 ${bars.length * STEP} ${HEIGHT}" preserveAspectRatio="none">
          ${bars.map((bar, at) => rectangle(bar, at, most))}
        </svg>
        <p class="ends" aria-hidden="true"><span>${ends[0]}</span><span>${ends[1]}</span></p>
      </div>
      <details ?open=${this.#isOpen} @toggle=${this.#toggle}>
        <summary>As a table</summary>
        ${this.#isOpen ? html`<div class="scrolled" tabindex="0" role="region" aria-label="${title}, as a table"><table class="numbers">
          <thead><tr><th scope="col">${unit}</th><th scope="col">${title}</th></tr></thead>
          <tbody>${bars.map((bar) => html`<tr><th scope="row">${bar.label}</th><td>${counted(bar)}</td></tr>`)}</tbody>
        </table></div>` : nothing}
      </details>
    </figure>`;
  }

  #toggle = ({ target }) => {
    if (target.open === this.#isOpen) return;
    this.#isOpen = target.open;
    this.update();
  };
}

function rectangle(bar, at, most) {
  // A bar that is not nothing can be seen.
  const height = bar.count ? Math.max(2, (HEIGHT * bar.count) / most) : 0;
  return svg`<g class=${bar.estimated ? "estimated" : nothing}>
    <title>${bar.label}: ${counted(bar)}</title>
    <rect class="room" x=${at * STEP} y="0" width=${STEP} height=${HEIGHT}></rect>
    <rect class="bar" x=${at * STEP + GAP / 2} y=${HEIGHT - height} width=${STEP - GAP} height=${height}></rect>
  </g>`;
}
