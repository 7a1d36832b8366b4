/** The names of those who write, as the change log tells them (`by`). */

/** What to call a writer. `labels` are those of the account's keys, if they are known; `own` is the id of our key. */
export function writer(by, labels, own) {
  if (by.includes(":")) return by.replace(":", " ");
  if (by === own) return "this key";
  return labels?.get(by) || `key ${by}`;
}
