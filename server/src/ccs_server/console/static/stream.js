/**
 * Follows the change log by an event stream. Not by EventSource, which sends no headers: the credential would have to
 * be in the URL.
 */

import { Answer, errorOf, isPassing, sleep } from "./api.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
/** The service sends something every 15 seconds. */
const SILENCE = 40_000;

/**
 * Calls `onChanges` with each part of the log as it comes, until the signal is aborted.
 * `onState` is told whether changes come.
 * Connects again by itself, where it was. Throws the error of a response that says that it would be no use.
 */
export async function follow(api, query, { after, signal, onChanges, onState }) {
  let last = after;
  let pause = FIRST_PAUSE;
  for (;;) {
    await seen(signal);
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    document.addEventListener("visibilitychange", () => end.abort(), { signal: either });
    try {
      const response = await api.fetch("GET", api.ext("changes"), {
        query: { ...query, after: last }, headers: { Accept: "text/event-stream" }, signal: either,
      });
      if (!response.ok) throw errorOf(new Answer(response.status, response.headers, await response.text()));
      pause = FIRST_PAUSE;
      onState(true);
      let timer = setTimeout(() => end.abort(), SILENCE);
      for await (const events of parts(response.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => end.abort(), SILENCE);
        last = events.findLast(({ id }) => id)?.id ?? last;
        const changes = events.filter(({ type }) => type !== "position").map(({ data }) => JSON.parse(data));
        if (changes.length) onChanges(changes);
      }
      clearTimeout(timer);
    } catch (error) {
      signal.throwIfAborted();
      if (error.status && !isPassing(error)) throw error;
    } finally {
      end.abort();
    }
    onState(false);
    await sleep(pause * (0.75 + Math.random() / 2), signal);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}

/**
 * Waits until the page can be seen. What nobody looks at takes no connection: browsers have six for all of their pages
 * of a service.
 */
export function seen(signal) {
  if (!document.hidden) return undefined;
  return new Promise((resolve, reject) => {
    const shown = () => !document.hidden && resolve();
    document.addEventListener("visibilitychange", shown, { signal });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** The events of a stream, in the groups in which they come. See "Interpreting an event stream" of the HTML standard. */
async function* parts(body) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    const events = blocks.map(eventOf).filter(({ id, data }) => id || data);
    if (events.length) yield events;
  }
}

function eventOf(block) {
  const event = { type: "message", id: null, data: "" };
  for (const line of block.split("\n")) {
    const [field, value] = line.split(/: ?(.*)/s);
    if (field === "event") event.type = value;
    else if (field === "id") event.id = value;
    else if (field === "data") event.data += value;
  }
  return event;
}
