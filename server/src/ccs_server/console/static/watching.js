/** Keeps what is known of a conversation up to date, by the change log or by asking again and again. */

import { isPassing, sleep } from "./api.js";
import { Known, readDocument, readProperties } from "./documents.js";
import { follow, seen } from "./stream.js";

const POLL = 2_000;
/** How often all is read although changes are told: the namespace may have stopped logging, or have too many streams. */
const CHECK = 20_000;
const LATEST = 200;
const MOST_OLDER = 50;

export class Watch {
  known = new Known();
  /** How what is shown follows what is stored. @type {"reading" | "live" | "polling" | "away" | "stopped"} */
  mode = "reading";
  /** Who saved which state of a property, as far as the log has told. @type {Map<string, {by: string, etag: string}>} */
  #writers = new Map();
  /** The entity tag of the document that is known, if the whole was read last and by a key. */
  etag = null;
  #wanted = new Set();
  #wantsAll = false;
  #reading = null;

  /**
   * @param {Page} page - The view's, which shows errors.
   * @param {import("./documents.js").Place} place
   * @param {(changes: [string, string][]) => void} onChange - Told what is different since the last reading, perhaps nothing.
   */
  constructor(page, place, onChange) {
    this.page = page;
    this.api = page.api;
    this.signal = page.signal;
    this.place = place;
    this.onChange = onChange;
  }

  /** Reads, and goes on until the signal is aborted. Throws if the service refuses. */
  async start() {
    try {
      await this.#run();
    } catch (error) {
      this.#become("stopped");
      throw error;
    }
  }

  async #run() {
    const { api, place, signal } = this;
    this.page.run(() => this.#check());
    for (;;) {
      const after = await this.#position();
      await this.refresh();
      if (!(await this.#isLogged())) return this.#poll();
      this.page.run(() => this.#findWriters());
      try {
        await follow(api, { ns: place.ns, session: place.session }, {
          after,
          signal,
          onChanges: (changes) => this.#take(changes),
          onState: (isLive) => {
            this.#become(isLive ? "live" : "away");
            // A reading that was asked for while the service was away has failed.
            if (isLive) this.#soon();
          },
        });
      } catch (error) {
        signal.throwIfAborted();
        // 400: there are no streams, as under other servers. 410: the log has forgotten what came next, so all is read anew.
        if (error.status === 400) return this.#poll();
        if (error.status !== 410) throw error;
      }
    }
  }

  /** Reads some properties anew, or all. Readings follow each other, so that none undoes a later one. */
  refresh(names = null) {
    if (names === null) this.#wantsAll = true;
    else for (const name of names) this.#wanted.add(name);
    this.#reading ??= this.#readWanted().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  /** Reads anew what should be gone by now. */
  expire() {
    const names = this.known.expired(this.api.now());
    if (names.length && this.mode !== "away") this.#soon(names);
  }

  /** The id of who saved a property as it is, as the log tells it; undefined if it does not. */
  writerOf({ name, etag }) {
    const writer = this.#writers.get(name);
    return writer?.etag === etag ? writer.by : undefined;
  }

  async #readWanted() {
    while (this.#wantsAll || this.#wanted.size) {
      const names = this.#wantsAll ? null : [...this.#wanted];
      this.#wantsAll = false;
      this.#wanted.clear();
      const { api, place, signal } = this;
      if (names) {
        this.#merge(await readProperties(api, place, names, { signal }), names);
      } else {
        const read = await readDocument(api, place, { etag: this.etag, signal });
        if (read) this.#merge(read.properties);
        this.etag = read ? read.etag : this.etag;
      }
    }
  }

  #merge(properties, names = null) {
    // What is known is no longer the document of this ETag.
    if (names) this.etag = null;
    const changes = this.known.merge(properties, this.api.now(), names);
    this.onChange(this.mode === "reading" ? [] : changes);
  }

  #take(changes) {
    const names = new Set();
    for (const { type, name, by, etag } of changes) {
      if (type === "property.set") this.#writers.set(name, { by, etag });
      if (name !== undefined) names.add(name);
    }
    // Deletions of namespaces, and erasures, are about all.
    const isAboutAll = changes.some(({ name }) => name === undefined);
    this.#soon(isAboutAll ? null : [...names]);
  }

  async #position() {
    const { api, signal } = this;
    const answer = await api.send("GET", api.ext("changes"), {
      query: { after: "now", limit: 0 }, signal, isQuiet: true,
    });
    return answer.json().next;
  }

  /** Whether the namespace logs its changes: by its settings or, for who may not see them, by what the log has. */
  async #isLogged() {
    const { api, place, signal } = this;
    if (await api.keyLabels()) {
      try {
        const settings = await api.send("GET", api.ext("namespaces", place.ns), { signal, isQuiet: true });
        return settings.json().changes !== "off";
      } catch (error) {
        // It is not there yet, and may be created with its log on or off.
        if (error.status === 404) return false;
        throw error;
      }
    }
    const page = await this.#latest({ ns: place.ns, session: place.session, limit: 1 });
    return page.changes.length > 0;
  }

  /** Looks in the log for who saved the properties as they are. */
  async #findWriters() {
    const { ns, session } = this.place;
    const look = async (query) => {
      const { changes } = await this.#latest({ ns, session, type: "property.set", ...query });
      for (const { name, by, etag } of changes) {
        if (!this.#writers.has(name)) this.#writers.set(name, { by, etag });
      }
      this.onChange([]);
    };
    await look({ limit: LATEST });
    // A page looks at so many changes of the account. What is older is found name by name.
    const older = [...this.known.properties.keys()].filter((name) => !this.#writers.has(name));
    for (const name of older.slice(0, MOST_OLDER)) await look({ name, limit: 1 });
  }

  async #latest(query) {
    const { api, signal } = this;
    const answer = await api.send("GET", api.ext("changes"), { query: { ...query, order: "desc" }, signal, isQuiet: true });
    return answer.json();
  }

  async #poll() {
    this.#become("polling");
    for (;;) {
      await sleep(POLL, this.signal);
      await seen(this.signal);
      this.#become((await this.#tryToRefresh()) ? "polling" : "away");
    }
  }

  async #check() {
    for (;;) {
      await sleep(CHECK, this.signal);
      await seen(this.signal);
      if (this.mode !== "polling") await this.#tryToRefresh();
    }
  }

  /** Refreshes without being waited for. */
  #soon(names = null) {
    this.page.run(() => this.#tryToRefresh(names));
  }

  /** Returns whether it did. A service that is away is asked again when it is back. */
  async #tryToRefresh(names = null) {
    try {
      await this.refresh(names);
      return true;
    } catch (error) {
      if (!isPassing(error)) throw error;
      return false;
    }
  }

  #become(mode) {
    if (mode === this.mode) return;
    this.mode = mode;
    this.onChange([]);
  }
}
