/** What is different between two values. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { diffJson } from "./vendor/diff/diff/json.js";
import { diffLines } from "./vendor/diff/diff/line.js";
import { hasParts, stringify } from "./json.js";

/** Beyond it, the values are so different that lines which happen to be equal tell nothing. */
const LIMITS = { maxEditLength: 2000, timeout: 500 };
const AROUND = 2;
const LONG = 300;
/** How many of the lines that were all removed, or all added, are shown. */
const MOST = 200;

/** The differences between two values, of which the first may be undefined: there was nothing. */
export function differences(before, after) {
  const fresh = textOf(after);
  if (before === undefined && fresh.includes("\n")) return shown([{ added: true, value: fresh }]);
  const old = before === undefined ? "" : textOf(before);
  if (old === fresh) return html`<p class="hint">The same value.</p>`;
  const isLine = !old.includes("\n") && !fresh.includes("\n");
  if (isLine) return withinLine(old, fresh);
  // Of JSON, whether a comma follows is no difference.
  const diff = hasParts(before) && hasParts(after) ? diffJson : diffLines;
  return shown(diff(`${old}\n`, `${fresh}\n`, LIMITS) ?? [
    { removed: true, value: old },
    { added: true, value: fresh },
  ]);
}

/** A value of which nobody knows what it differs from. */
export function valueAlone(value) {
  return html`<pre class="difference">${few(textOf(value).split("\n"), " ")}</pre>`;
}

function shown(parts) {
  return html`<pre class="difference">${parts.map((part, index) => lines(part, index === 0, index === parts.length - 1))}</pre>`;
}

function textOf(value) {
  return typeof value === "string" ? value : stringify(inOrder(value), 2);
}

/** The value with its members in the order of their names: the order in which they were written says nothing. */
function inOrder(value) {
  if (!hasParts(value)) return value;
  if (Array.isArray(value)) return value.map(inOrder);
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, inOrder(value[name])]));
}

/** The lines of a part; of those that are the same, the ones beside a difference. */
function lines({ value, added, removed }, isFirst, isLast) {
  const all = value.replace(/\n$/, "").split("\n");
  if (added) return html`<ins>${few(all, "+")}</ins>`;
  if (removed) return html`<del>${few(all, "−")}</del>`;
  const [above, below] = [isFirst ? 0 : AROUND, isLast ? 0 : AROUND];
  const left = all.length - above - below;
  if (left < 3) return all.map((line) => `  ${cut(line)}\n`).join("");
  const text = (some) => some.map((line) => `  ${cut(line)}\n`).join("");
  return html`${text(all.slice(0, above))}<span class="left-out">  … ${left} lines\n</span>${text(all.slice(all.length - below))}`;
}

function few(all, sign) {
  const rest = all.length - MOST;
  const text = all.slice(0, MOST).map((line) => `${sign} ${cut(line)}\n`).join("");
  return rest > 0 ? `${text}${sign} … ${rest} more lines\n` : text;
}

/** Two short texts with what they share around the difference; of long ones, a part of that. */
function withinLine(old, fresh) {
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start += 1;
  let end = 0;
  const shorter = Math.min(old.length, fresh.length) - start;
  while (end < shorter && old.at(-1 - end) === fresh.at(-1 - end)) end += 1;
  if (splitsPair(old, start) || splitsPair(fresh, start)) start -= 1;
  if (splitsPair(old, old.length - end) || splitsPair(fresh, fresh.length - end)) end -= 1;
  // A word that has changed is read as one, unless much is the same.
  if (start + end < LONG / 3) [start, end] = [0, 0];
  const [before, behind] = [old.slice(0, start), old.slice(old.length - end)];
  const part = (text) => cut(text.slice(start, text.length - end));
  return html`<p class="difference">${before.length > LONG / 3 ? `…${before.slice(-LONG / 3)}` : before}${
    part(old) ? html`<del>${part(old)}</del> ` : nothing}${part(fresh) ? html`<ins>${part(fresh)}</ins>` : nothing}${
    behind.length > LONG / 3 ? `${behind.slice(0, LONG / 3)}…` : behind}</p>`;
}

/** Whether an index is within a character of two code units, such as an emoji. */
function splitsPair(text, index) {
  return text.codePointAt(index - 1) > 0xffff;
}

function cut(line) {
  return line.length > LONG ? `${line.slice(0, LONG)}…` : line;
}
