/** Reads conversations, and keeps what is known of one. */

/** What a conversation is: a namespace and a session. @typedef {{ns: string, session: string}} Place */

/** Whether the document of a place is read with its entity tag. */
export function hasTag(api, { session }) {
  return !api.token && session !== "." && session !== "..";
}

/**
 * Reads the properties of a place as `{value, etag, expiresAt, updatedAt}` by name, or null if they have this ETag.
 *
 * By v1's row for keys, because a document that is the same needs not be sent again; as an operation for tokens, of which
 * some reach no document as a whole, and for sessions that no path of a browser can name.
 */
export async function readDocument(api, place, { etag, signal } = {}) {
  if (!hasTag(api, place)) {
    const names = api.token?.names;
    return { properties: await readProperties(api, place, names, { signal }), etag: null };
  }
  const answer = await api.send("GET", api.v1(place.ns, place.session, "properties"), {
    query: { meta: "true" },
    headers: etag ? { "If-None-Match": etag } : {},
    signal,
    isQuiet: true,
  });
  return answer.status === 304 ? null : { properties: answer.json(), etag: answer.etag };
}

/** Reads the properties of a place that have these names, or all. */
export async function readProperties(api, place, names, { signal } = {}) {
  const [result] = await api.ops([{ op: "get", ...place, ...(names && { names }), meta: true }], { signal, isQuiet: true });
  return result.values;
}

/** The properties of a conversation as they were last seen, and what became of each since. */
export class Known {
  /** By name, in the order of the names. @type {Map<string, object>} */
  properties = new Map();
  /** Whether anything was read yet. */
  isRead = false;

  /**
   * Takes over what was read: all properties, or those with these names.
   * Returns what is different, as `[name, "new" | "changed" | "has another expiry" | "gone"]`.
   */
  merge(read, now, names = null) {
    const changes = [];
    for (const [name, fresh] of Object.entries(read)) {
      const known = this.properties.get(name);
      const isSame = known?.etag === fresh.etag && known.updatedAt === fresh.updatedAt;
      if (isSame && known.expiresAt === fresh.expiresAt) continue;
      changes.push([name, !known ? "new" : isSame ? "has another expiry" : "changed"]);
      this.properties.set(name, {
        ...fresh,
        name,
        lifetime: lifetime(fresh, now, isSame),
        // How often it has changed while one looked.
        changes: known ? known.changes + 1 : this.isRead ? 1 : 0,
      });
    }
    for (const name of names ?? [...this.properties.keys()]) {
      if (!Object.hasOwn(read, name) && this.properties.delete(name)) changes.push([name, "gone"]);
    }
    this.isRead = true;
    if (changes.some(([, what]) => what === "new")) this.#sort();
    return changes;
  }

  /** The names of what has expired by now. */
  expired(now) {
    return [...this.properties.values()]
      .filter(({ expiresAt }) => expiresAt && Date.parse(expiresAt) <= now)
      .map(({ name }) => name);
  }

  #sort() {
    const sorted = [...this.properties].sort(([one], [other]) => (one < other ? -1 : 1));
    this.properties = new Map(sorted);
  }
}

/** How long a property lives, in milliseconds: from its last save on or, if its life was just prolonged, from now on. */
function lifetime({ expiresAt, updatedAt }, since, isProlonged) {
  if (!expiresAt) return null;
  const begin = isProlonged || !updatedAt ? since : Date.parse(updatedAt);
  return Math.max(Date.parse(expiresAt) - begin, 1);
}
