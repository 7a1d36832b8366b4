/** The jobs of the account: what they do, their records, and erasures to begin. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { number } from "../charts.js";
import { Dialog } from "../dialog.js";
import { Erasing, progress, sum } from "../erasing.js";
import { address } from "../router.js";
import { ago, at, duration } from "../times.js";
import { writer } from "../writers.js";

const OFTEN = 1_000;
const SELDOM = 10_000;
const KINDS = { erase: "Erasure", delete: "Deletion", index: "Index" };

/** @type {import("../app.js").View} */
export const jobs = {
  path: "jobs",
  menu: "Jobs",
  isForAdmins: true,

  open(page) {
    const { api } = page;
    const dialog = new Dialog(page);
    /** Jobs by their ids, the newest first; null until they are read. */
    let known = null;
    let next;

    const erasing = new Erasing(page, dialog, (job) => {
      known = new Map([[job.id, job], ...known]);
      poll.again();
    });

    // The newest page is read, and each job of others that has not ended.
    const poll = page.poll(async () => {
      const options = { signal: page.signal, isQuiet: true };
      const answer = (await api.send("GET", api.ext("jobs"), options)).json();
      if (!known) next = answer.next;
      const newest = new Map(answer.jobs.map((job) => [job.id, job]));
      const older = [...(known ?? [])].filter(([id]) => !newest.has(id));
      for (const pair of older.filter(([, job]) => !job.finishedAt)) {
        pair[1] = (await api.send("GET", api.ext("jobs", pair[0]), options)).json();
      }
      known = new Map([...newest, ...older]);
      erasing.see([...known.values()]);
      return [...known.values()].some((job) => !job.finishedAt) ? OFTEN : SELDOM;
    });

    async function more() {
      const answer = await api.send("GET", api.ext("jobs"), { query: { after: next }, signal: page.signal });
      const part = answer.json();
      known = new Map([...known, ...part.jobs.map((job) => [job.id, job])]);
      next = part.next;
    }

    const row = (job) => html`<tr role="row">
      <th role="rowheader" scope="row"><a href=${address(["jobs", job.id])}>${nameOf(job)}</a></th>
      <td role="cell" data-label="Kind">${kindOf(job)}</td>
      <td role="cell" data-label="State">${job.state}</td>
      <td role="cell" data-label="Done">${isWaiting(job) ? progress(job) : sum(job)}</td>
      <td role="cell" data-label="Begun">${ago(job.createdAt, api.now())}</td>
    </tr>`;

    return {
      title: "Jobs",
      render: () => {
        if (poll.refusal) return html`<p class="empty">This credential does not see the jobs. ${poll.refusal}</p>`;
        if (!known) return html`<p class="hint">Reading…</p>`;
        return [
          erasing.render(),
          known.size ? html`<table role="table" aria-label="Jobs">
            <thead role="rowgroup"><tr role="row">
              ${["Job", "Kind", "State", "Done", "Begun"].map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}
            </tr></thead>
            <tbody role="rowgroup">${repeat(known.values(), ({ id }) => id, row)}</tbody>
          </table>` : html`<p class="empty">There are no jobs. Erasures, deletions of many sessions and new indexes are some.</p>`,
          next ? html`<button type="button" @click=${() => page.run(more)}>Show older jobs</button>` : nothing,
          dialog.render(),
        ];
      },
    };
  },
};

/** One job, and its record. @type {import("../app.js").View} */
export const job = {
  path: "jobs/:id",

  open(page, { id }) {
    const { api } = page;
    const dialog = new Dialog(page);
    let found = null;
    let labels = null;
    const open = { title: `Job ${id}`, trail: [["Jobs", address(["jobs"])]], render };

    const poll = page.poll(async () => {
      labels ??= await api.keyLabels();
      found = (await api.send("GET", api.ext("jobs", id), { signal: page.signal, isQuiet: true })).json();
      open.title = nameOf(found);
      return found.finishedAt ? null : OFTEN;
    });

    function cancel() {
      dialog.ask({
        title: "Cancel the job",
        does: "Cancel it",
        isDanger: true,
        body: () => html`<p>What it has done stays done.</p>`,
        act: async () => {
          await api.send("DELETE", api.ext("jobs", id));
          found = (await api.send("GET", api.ext("jobs", id), { isQuiet: true })).json();
        },
      });
    }

    function render() {
      if (poll.refusal) return html`<p class="empty">This credential does not see the job. ${poll.refusal}</p>`;
      if (!found) return html`<p class="hint">Reading…</p>`;
      return [
        isWaiting(found) ? html`<div class="row">${progress(found)}
          <button type="button" class="danger" @click=${cancel}>Cancel the job</button></div>` : nothing,
        html`<dl class="record sheet">${record(found).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`,
        html`<p class="hint">This record is kept for 395 days. It has nothing of what the job looked for.</p>`,
        dialog.render(),
      ];
    }

    function record(job) {
      const now = api.now();
      const { sessions, properties, changes, examined } = job.progress;
      return [
        ["State", job.state],
        ["Kind", kindOf(job)],
        ["Reference", html`<bdi>${job.reference || "–"}</bdi>`],
        ["Id", html`<code>${job.id}</code>`],
        ["By", html`<bdi>${writer(job.by, labels, api.keyId)}</bdi>`],
        ["Created", at(job.createdAt, now)],
        ["Started", job.startedAt ? at(job.startedAt, now) : "–"],
        ["Finished", job.finishedAt ? at(job.finishedAt, now) : "–"],
        ["Took", job.finishedAt && job.startedAt ? duration((Date.parse(job.finishedAt) - Date.parse(job.startedAt)) / 1000) : "–"],
        ["Examined", number(examined)],
        ["Whole sessions", number(sessions)],
        ["Properties", number(properties)],
        ["Logged changes", number(changes)],
      ];
    }

    return open;
  },
};

function isWaiting({ state }) {
  return state === "queued" || state === "running";
}

function nameOf({ reference, id }) {
  return reference || id;
}

function kindOf({ kind, dryRun }) {
  return (KINDS[kind] ?? kind) + (dryRun ? ", counted only" : "");
}
