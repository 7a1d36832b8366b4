/** An erasure: it is counted first, and carried out when the user has seen what would go. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { number, several } from "./charts.js";
import { namespacesIn } from "./fields.js";

const MOST_STRINGS = 10;
const PLACES = [["value", "in values, as strings or names of members"], ["sessionId", "as ids of sessions"], ["name", "as names of properties"]];

export class Erasing {
  /** What to erase, as the service takes it. @type {object | null} */
  #body = null;
  /** The job that counts, as it is now. */
  #counted = null;
  #message = "";

  /**
   * @param {Page} page
   * @param {import("./dialog.js").Dialog} dialog
   * @param {(job: object) => void} onBegun - Called with each job that begins.
   */
  constructor(page, dialog, onBegun) {
    Object.assign(this, { page, dialog, onBegun });
  }

  /** Takes the jobs as they are now. */
  see(jobs) {
    this.#counted &&= jobs.find(({ id }) => id === this.#counted.id) ?? this.#counted;
  }

  render() {
    return html`<details class="sheet erasing">
      <summary><h2>Erase a person or a thing</h2></summary>
      <form @submit=${this.#count} @input=${this.#forget}>
        <label>What to look for, one on each line
          <textarea name="strings" rows="3" required spellcheck="false" aria-describedby="strings-hint"></textarea></label>
        <p id="strings-hint" class="hint">Such as a phone number, in each way that it may be written. At most ${MOST_STRINGS} lines.</p>
        <fieldset><legend>Where</legend>
          ${PLACES.map(([name, label], at) => html`<label class="check">
            <input type="checkbox" name="places" value=${name} ?checked=${at < 2}> ${label}</label>`)}
          <label class="check"><input type="checkbox" name="partly"> also as a part of them</label>
        </fieldset>
        <div class="row">
          <label>What goes <select name="scope">
            <option value="property">each property that matches</option>
            <option value="session">each session with a match</option>
          </select></label>
          <label>Only in these namespaces <input name="ns" placeholder="all" autocomplete="off" autocapitalize="none" spellcheck="false"></label>
          <label>Reference, such as a ticket <input name="reference" maxlength="256" autocomplete="off" aria-describedby="reference-hint"></label>
        </div>
        <p id="reference-hint" class="hint">The reference is kept for 395 days, so it should name nobody.</p>
        ${this.#message ? html`<p class="error" role="alert">${this.#message}</p>` : nothing}
        <div class="row"><button>Count what would go</button></div>
      </form>
      ${this.#counted ? this.#outcome(this.#counted) : nothing}
    </details>`;
  }

  #outcome(job) {
    if (job.state === "queued" || job.state === "running") return html`<p role="status">Counting… ${progress(job)}</p>`;
    if (job.state !== "done") return html`<p role="status">The count has ${job.state}. Nothing was erased.</p>`;
    if (Object.values(hits(job)).every((count) => !count)) return html`<p role="status"><strong>Nothing matches.</strong></p>`;
    return html`<div class="row" role="status">
      <p><strong>Would go: ${sum(job)}.</strong></p>
      <button type="button" class="danger" @click=${this.#confirm}>Erase them</button>
    </div>`;
  }

  #count = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const strings = given.get("strings").split("\n").map((line) => line.trim()).filter(Boolean);
    this.#body = {
      kind: "erase",
      match: Object.fromEntries(given.getAll("places").map((place) => [place, strings])),
      contains: given.has("partly"),
      scope: given.get("scope"),
      reference: given.get("reference"),
      ns: namespacesIn(given),
    };
    this.#message = "";
    try {
      this.#counted = await this.#begin({ ...this.#body, dryRun: true });
    } catch (error) {
      this.#message = error.message;
    }
    this.page.update();
  };

  #confirm = () => {
    const job = this.#counted;
    this.dialog.ask({
      title: "Erase",
      does: "Erase them",
      isDanger: true,
      body: () => html`<p>This erases ${sum(job)}, what stored responses have of them, and whatever else matches by then.
        <strong>This cannot be undone.</strong> Backups are not covered.</p>`,
      act: async () => {
        await this.#begin(this.#body);
        this.#counted = null;
        this.page.announce("The erasure has begun.");
      },
    });
  };

  /** What was counted is of what the form had then. */
  #forget = () => {
    if (!this.#counted) return;
    this.#counted = null;
    this.page.update();
  };

  async #begin(body) {
    const { api } = this.page;
    const job = (await api.send("POST", api.ext("jobs"), { body })).json();
    this.onBegun(job);
    return job;
  }
}

/** How far a job is: a bar, and the numbers. */
export function progress({ state, progress: { examined, total } }) {
  const most = Math.max(total, examined, 1);
  return html`<span class="progress"><progress max=${most} value=${state === "queued" ? 0 : examined} aria-label="Examined"></progress>
    <span>${number(examined)} of about ${number(total)}</span></span>`;
}

function hits({ progress: { sessions, properties, changes } }) {
  return { sessions, properties, changes };
}

/** What a job has done, or found. */
export function sum(job) {
  const { sessions, properties, changes } = hits(job);
  return [
    several(properties, "property", "properties"),
    several(sessions, "whole session", "whole sessions"),
    several(changes, "logged change", "logged changes"),
  ].join(", ");
}
