/** Fields of a form that ask for a time to live. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";

const UNITS = [[1, "seconds"], [60, "minutes"], [3600, "hours"], [86_400, "days"]];
const FOR = "for";

/**
 * The fields, beginning with one of the choices: `[value, label]`, where a value is what the service takes as `ttl`, or
 * empty for none. `state` is kept between renderings, and `update` renders again.
 */
export function ttlFields(label, choices, state, update) {
  state.choice ??= choices[0][0];
  const choose = ({ target }) => {
    state.choice = target.value;
    update();
  };
  const keep = ({ target }) => {
    state[target.name] = target.value;
  };
  return html`<label class="middle">${label}
      <select name="ttl" @change=${choose}>
        ${[...choices, [FOR, "for …"]].map(
          ([value, text]) => html`<option value=${value} ?selected=${value === state.choice}>${text}</option>`)}
      </select></label>
    ${state.choice === FOR ? html`
      <label class="short">Amount
        <input name="amount" type="number" min="1" max="2147483647" step="1" required .value=${state.amount ?? "1"} @input=${keep}></label>
      <label class="short">Unit
        <select name="unit" @change=${keep}>${UNITS.map(
          ([seconds, unit]) => html`<option value=${seconds} ?selected=${seconds === Number(state.unit ?? 3600)}>${unit}</option>`)}</select></label>`
      : nothing}`;
}

/** The `ttl` that a form with these fields asks for: seconds, `"keep"`, or undefined. */
export function readTtl(form) {
  const { ttl, amount, unit } = Object.fromEntries(new FormData(form));
  if (ttl === FOR) return amount * unit;
  if (ttl === "") return undefined;
  return ttl === "keep" ? ttl : Number(ttl);
}
