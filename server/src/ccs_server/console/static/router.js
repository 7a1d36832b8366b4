/**
 * Addresses within the page: `#/namespaces/airline?prefix=conv`. They are in the part of the URL that no browser
 * sends, and never hold a credential.
 */

/** The address of segments, with the parameters that are not empty. */
export function address(segments, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${segments.map(encodeURIComponent).join("/")}${query}`;
}

/** The segments and parameters of an address, or null if it is malformed. */
export function read(hash) {
  const [path, query] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  try {
    const segments = path.split("/").map(decodeURIComponent);
    return { segments, query: new URLSearchParams(query) };
  } catch {
    return null;
  }
}

/**
 * What a pattern such as `namespaces/:namespace` takes from segments: an object by the names in the pattern, or null if
 * it does not match.
 */
export function match(pattern, segments) {
  const parts = pattern.split("/");
  if (parts.length !== segments.length) return null;
  const taken = {};
  for (const [index, part] of parts.entries()) {
    if (part.startsWith(":")) taken[part.slice(1)] = segments[index];
    else if (part !== segments[index]) return null;
  }
  return taken;
}
