/** Exports to a file and imports from one, in parts. Both go on where an error has stopped them. */

const PAGE_LINES = 5_000;
/** What one request may bring, by the service's rules. */
const PART_BYTES = 1_048_576;
const PART_LINES = 1_000;

const NEWLINE = 0x0a;

/** An error of a file, which its message names. */
export class FileError extends Error {}

/** An export of the account, or of a namespace of it. */
export class Export {
  /** How many lines were written. */
  lines = 0;
  isDone = false;
  #after = "";

  /**
   * @param {import("./api.js").Api} api
   * @param {string} namespace - Empty for all.
   * @param {{write: (text: string) => Promise<void>, close: () => Promise<void>}} file
   */
  constructor(api, namespace, file) {
    Object.assign(this, { api, namespace, file });
  }

  /** Writes the pages that are left. `update` is called after each. */
  async run(update, signal) {
    while (!this.isDone) {
      const query = {
        limit: PAGE_LINES,
        ...(this.namespace && { ns: this.namespace }),
        ...(this.#after && { after: this.#after }),
      };
      const { text } = await this.api.send("GET", this.api.ext("export"), { query, signal, isQuiet: this.lines > 0 });
      const end = text.lastIndexOf("\n", text.length - 2) + 1;
      const last = ending(text.slice(end));
      await this.file.write(text.slice(0, end));
      this.lines += text.slice(0, end).split("\n").length - 1;
      this.#after = last.next;
      this.isDone = last.end === true;
      update();
    }
    await this.file.close();
  }
}

/** The last line of a page. A response that was cut off has none. */
function ending(line) {
  let found = null;
  try {
    found = JSON.parse(line);
  } catch {
    // Told below: half a line is none.
  }
  if (!found?.next && !found?.end) throw new FileError("The response was cut off. Go on to ask for it again.");
  return found;
}

/** An import of a file. */
export class Import {
  /** The first line that is not imported yet, from 1. */
  line;
  saved = 0;
  skipped = 0;
  #offset = null;

  /**
   * @param {import("./api.js").Api} api
   * @param {File} file
   * @param {"overwrite" | "keep"} mode
   * @param {number} line - The line to begin at, from 1.
   */
  constructor(api, file, mode, line) {
    Object.assign(this, { api, file, mode, line });
  }

  /** How many bytes are imported. */
  get bytes() {
    return this.#offset ?? 0;
  }

  get isDone() {
    return this.#offset === this.file.size;
  }

  /** Sends the parts that are left. `update` is called after each. */
  async run(update, signal) {
    this.#offset ??= await offsetOf(this.file, this.line);
    while (!this.isDone) {
      const { bytes, lines } = await part(this.file, this.#offset, this.line);
      const answer = await this.#send(bytes, signal);
      this.saved += answer.saved;
      this.skipped += answer.skipped;
      this.#offset += bytes.length;
      this.line += lines;
      update();
    }
  }

  async #send(bytes, signal) {
    try {
      const answer = await this.api.send("POST", this.api.ext("import"), {
        query: { mode: this.mode },
        headers: { "Content-Type": "application/x-ndjson" },
        body: textOf(bytes, this.line),
        signal,
      });
      return answer.json();
    } catch (error) {
      if (!error.body?.line) throw error;
      throw new FileError(`Line ${this.line + error.body.line - 1} is bad: ${error.message}`);
    }
  }
}

function textOf(bytes, line) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FileError(`Something from line ${line} on is not UTF-8.`);
  }
}

/** Where a line begins, in bytes. */
async function offsetOf(file, line) {
  let offset = 0;
  for (let left = line - 1; left > 0; ) {
    const bytes = await bytesOf(file, offset);
    if (!bytes.length) throw new FileError(`The file has no line ${line}.`);
    for (const [at, byte] of bytes.entries()) {
      if (byte !== NEWLINE) continue;
      left -= 1;
      if (left === 0) return offset + at + 1;
    }
    offset += bytes.length;
  }
  return offset;
}

/** Whole lines from an offset on, as many as one request may bring. */
async function part(file, offset, line) {
  const bytes = await bytesOf(file, offset);
  let end = 0;
  let lines = 0;
  while (lines < PART_LINES) {
    const at = bytes.indexOf(NEWLINE, end);
    if (at < 0) break;
    end = at + 1;
    lines += 1;
  }
  // The last line of a file may lack its end.
  if (lines < PART_LINES && offset + bytes.length === file.size && end < bytes.length) {
    return { bytes, lines: lines + 1 };
  }
  if (!lines) throw new FileError(`Line ${line} is longer than 1 MiB, which no request may bring. "ccs import" has no such limit.`);
  return { bytes: bytes.subarray(0, end), lines };
}

async function bytesOf(file, offset) {
  try {
    return new Uint8Array(await file.slice(offset, offset + PART_BYTES).arrayBuffer());
  } catch {
    throw new FileError("The file cannot be read any more. Choose it again.");
  }
}
