/** Exports what the account stores to a file, and imports such a file. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { number, several } from "../charts.js";
import { Export, Import } from "../transfer.js";

const PICKER = "showSaveFilePicker";

/** @type {import("../app.js").View} */
export const transfer = {
  path: "transfer",
  menu: "Export and import",

  open(page) {
    const { api } = page;
    /** What is going on, or has stopped: `{work, isBusy, message, total}`. */
    let exporting = null;
    let importing = null;

    async function run(state) {
      state.isBusy = true;
      state.message = "";
      page.update();
      try {
        await state.work.run(page.update, page.signal);
        page.announce("Done.");
      } catch (error) {
        state.message = error.message;
      } finally {
        state.isBusy = false;
        page.update();
      }
    }

    async function beginExport(event) {
      event.preventDefault();
      const namespace = new FormData(event.target).get("ns").trim();
      const name = `${api.account}${namespace && `-${namespace}`}.ndjson`;
      const isStreamed = event.submitter.value === "stream";
      page.run(async () => {
        const file = isStreamed ? await pickedFile(name) : new Download(name);
        if (!file) return;
        exporting = { work: new Export(api, namespace, file), total: null };
        page.run(async () => {
          exporting.total = await expected(api, namespace, page.signal);
        });
        await run(exporting);
      });
    }

    function beginImport(event) {
      event.preventDefault();
      const given = new FormData(event.target);
      importing = { work: new Import(api, given.get("file"), given.get("mode"), Number(given.get("line"))) };
      run(importing);
    }

    const stopped = (state) => html`${state.message ? html`<div class="error" role="alert"><p>${state.message}</p></div>` : nothing}
      ${state.isBusy || state.work.isDone ? nothing : html`<button type="button" @click=${() => run(state)}>Go on</button>`}`;

    const exportOutcome = (state) => html`<div class="outcome">
      <progress max=${state.work.isDone ? 1 : (state.total ?? nothing)} value=${state.work.isDone ? 1 : state.total ? Math.min(state.work.lines, state.total) : nothing} aria-label="Exported"></progress>
      <p role="status">${several(state.work.lines, "line", "lines")}${state.work.isDone ? ": the export is complete." : " until now"}</p>
      ${stopped(state)}</div>`;

    const importOutcome = (state) => {
      const { work } = state;
      return html`<div class="outcome">
        <progress max=${Math.max(work.file.size, 1)} value=${work.isDone ? Math.max(work.file.size, 1) : work.bytes} aria-label="Imported"></progress>
        <p role="status">${number(work.saved)} saved, ${number(work.skipped)} skipped${work.isDone ? ": the import is complete." : `; the next line is ${number(work.line)}`}</p>
        ${stopped(state)}</div>`;
    };

    const changeLine = () => importing && !importing.work.isDone ? importing.work.line : 1;

    return {
      title: "Export and import",
      render: () => html`<div class="charts">
        <section class="sheet transfer" aria-labelledby="export-title">
          <h2 id="export-title">Export</h2>
          <p class="hint">Namespaces, times to live and properties, a line of JSON for each, as
            <code>ccs import</code> and the SDK take them.</p>
          <form @submit=${beginExport}>
            <label>Only this namespace <input name="ns" placeholder="all" autocomplete="off" autocapitalize="none" spellcheck="false"></label>
            <div class="row">
              <button class="main" value="download" ?disabled=${exporting?.isBusy}>Download</button>
              ${PICKER in window ? html`<button value="stream" ?disabled=${exporting?.isBusy}>Write to a file…</button>` : nothing}
            </div>
          </form>
          <p class="hint">A download is kept in the browser's memory until it is complete, so take it up to about 500 MB.
            ${PICKER in window ? "A file that is written to may be of any size." : html`For more, use <code>ccs export</code>.`}</p>
          ${exporting ? exportOutcome(exporting) : nothing}
        </section>
        <section class="sheet transfer" aria-labelledby="import-title">
          <h2 id="import-title">Import</h2>
          <p class="hint">A file of such lines. It is sent in parts, each of which is saved as a whole or not at all. To import
            lines again is harmless.</p>
          <form @submit=${beginImport}>
            <label>File <input type="file" name="file" accept=".ndjson,.jsonl,.json,.txt" required></label>
            <div class="row">
              <label>What exists is <select name="mode">
                <option value="overwrite">overwritten</option>
                <option value="keep">kept</option>
              </select></label>
              <label class="narrow">From line <input type="number" name="line" min="1" required .value=${changeLine()}></label>
            </div>
            <div class="row"><button class="main" ?disabled=${importing?.isBusy}>Import</button></div>
          </form>
          ${importing ? importOutcome(importing) : nothing}
        </section>
      </div>`,
    };
  },
};

/** A file that the user chooses, which may be of any size; null if none is chosen. */
async function pickedFile(name) {
  let chosen;
  try {
    chosen = await window[PICKER]({ suggestedName: name });
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw error;
  }
  return chosen.createWritable();
}

/** A file in memory, which the browser downloads once it is complete. */
class Download {
  #parts = [];

  constructor(name) {
    this.name = name;
  }

  async write(text) {
    // The browser may keep a Blob on its disk.
    this.#parts = [new Blob([...this.#parts, text])];
  }

  async close() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(this.#parts[0]);
    link.download = this.name;
    link.click();
    URL.revokeObjectURL(link.href);
  }
}

/** About how many lines an export has. */
async function expected(api, namespace, signal) {
  const found = (await api.send("GET", api.ext("activity"), { signal, isQuiet: true })).json();
  const counted = namespace ? found.namespaces.find(({ ns }) => ns === namespace)?.properties : found.properties;
  return counted?.count ?? null;
}
