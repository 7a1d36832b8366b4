/** The service, as one account sees it with one credential. The credential is in this object's memory alone. */

import { parse, stringify } from "./json.js";

const SERVICE = new URL("..", import.meta.url);
const REMEMBERED = 20;

/** A response that is no success, or none at all (`status` 0). The message says what to do. */
export class ApiError extends Error {
  constructor(status, message, body = null, headers = new Headers()) {
    super(message);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** A response: its status, headers and text. */
export class Answer {
  constructor(status, headers, text) {
    this.status = status;
    this.headers = headers;
    this.text = text;
  }

  get etag() {
    return this.headers.get("ETag");
  }

  json() {
    return parse(this.text);
  }
}

/** Tells of each request that was asked for by name `request`: its `detail` is what `exchanges` remembers. */
export class Api extends EventTarget {
  #headers;
  #clockOffset = 0;

  constructor(account, credential) {
    super();
    this.account = account;
    /** The claims of a token; null for a key. */
    this.token = claimsOf(credential);
    /** The id of a key, as the change log names it. */
    this.keyId = this.token ? null : (credential.split("_")[1] ?? null);
    /** The latest requests, the newest first: `{method, path, query, headers, body, status}`, without the credential. */
    this.exchanges = [];
    this.#headers = this.token
      ? { Authorization: `Bearer ${credential}` }
      : { "maven-api-key": credential };
  }

  /** A path of v1. */
  v1(...segments) {
    return path("v1", "account", this.account, ...segments);
  }

  /** A path of the extension. */
  ext(...segments) {
    return path("ext", "v1", this.account, ...segments);
  }

  /** The URL of a path and its parameters. */
  urlOf(path, query) {
    const url = new URL(path, SERVICE);
    url.search = new URLSearchParams(
      Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, one])),
    );
    return url;
  }

  /** The service's clock, as far as its responses tell it. */
  now() {
    return Date.now() + this.#clockOffset;
  }

  /**
   * Sends a request. A body that is no string is sent as JSON.
   * `isQuiet` keeps it out of `exchanges`: nobody asked for it by a click.
   */
  async send(method, path, { query = {}, headers = {}, body, signal, isQuiet = false } = {}) {
    const text = body === undefined || typeof body === "string" ? body : stringify(body);
    const response = await this.fetch(method, path, { query, headers, body: text, signal });
    const answer = new Answer(response.status, response.headers, await textOf(response, signal));
    if (!isQuiet) this.#remember({ method, path, query, headers, body: text, status: response.status });
    if (!response.ok && response.status !== 304) throw errorOf(answer);
    return answer;
  }

  /** The response of `fetch`, whatever its status, with its body still to come. */
  async fetch(method, path, { query = {}, headers = {}, body, signal } = {}) {
    const url = this.urlOf(path, query);
    const all = { ...headers, ...this.#headers };
    if (body !== undefined && !all["Content-Type"]) all["Content-Type"] = "application/json";
    const began = Date.now();
    try {
      const response = await fetch(url, {
        method, headers: all, body, signal, cache: "no-store", credentials: "omit", redirect: "error",
      });
      this.#setClock(response.headers.get("Date"), (began + Date.now()) / 2);
      return response;
    } catch (error) {
      throw signal?.aborted ? error : unreachable();
    }
  }

  /** Executes operations in one request; returns their results. */
  async ops(operations, options = {}) {
    const answer = await this.send("POST", this.ext("ops"), { ...options, body: { ops: operations } });
    return answer.json().results;
  }

  /** The labels of the account's keys by their ids; null if the credential may not list them. */
  keyLabels() {
    this.keys ??= this.send("GET", this.ext("keys"), { isQuiet: true }).then(
      (answer) => new Map(answer.json().keys.map((key) => [key.keyId, key.label])),
      (error) => {
        if (error.status === 403) return null;
        this.keys = undefined;
        throw error;
      },
    );
    return this.keys;
  }

  /** The header `Date` has whole seconds, and a clock that is right within them needs no correction. */
  #setClock(date, received) {
    const offset = Date.parse(date) + 500 - received;
    if (Number.isFinite(offset)) this.#clockOffset = Math.abs(offset) > 1500 ? offset : 0;
  }

  #remember(exchange) {
    this.exchanges = [exchange, ...this.exchanges].slice(0, REMEMBERED);
    this.dispatchEvent(new CustomEvent("request", { detail: exchange }));
  }
}

/** Whether the same request may succeed later: the service is away, or has too much to do. */
export function isPassing({ status }) {
  return status === 0 || status === 429 || status >= 500;
}

/** Waits so many milliseconds. Throws as soon as the signal is aborted. */
export function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

function path(...segments) {
  return segments.map(encodeURIComponent).join("/");
}

/** The claims of a JSON Web Token, unverified; null if a credential is none. */
function claimsOf(credential) {
  const parts = credential.split(".");
  if (parts.length !== 3) return null;
  try {
    const bytes = Uint8Array.from(atob(parts[1].replace(/-/g, "+").replace(/_/g, "/")), (character) =>
      character.charCodeAt(0),
    );
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

async function textOf(response, signal) {
  try {
    return await response.text();
  } catch (error) {
    throw signal?.aborted ? error : unreachable();
  }
}

function unreachable() {
  return new ApiError(0, "The service cannot be reached. The console tries again when you do.");
}

/** The error that a response tells of. */
export function errorOf(answer) {
  let body = null;
  try {
    body = answer.json();
  } catch {
    // A proxy's, perhaps: its status has to do.
  }
  const message = body?.message ?? `The service responded with the status ${answer.status}.`;
  return new ApiError(answer.status, message, body, answer.headers);
}
