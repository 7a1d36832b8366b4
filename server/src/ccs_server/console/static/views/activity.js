/** What the account has, what is done with it, and what is about to expire. */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { Chart, counted, number, timeOfDay } from "../charts.js";
import { address } from "../router.js";
import { timeToLive } from "../times.js";

const EVERY = 10_000;

/** @type {import("../app.js").View} */
export const activity = {
  path: "activity",
  menu: "Activity",

  open(page) {
    const { api } = page;
    /** Null until it is read. */
    let found = null;
    /** Namespaces of further pages. They are not read again. */
    let further = [];
    let next;
    const charts = Object.fromEntries(
      ["saves", "reads", "expiring"].map((name) => [name, new Chart(page.update)]),
    );

    const poll = page.poll(async () => {
      const answer = await api.send("GET", api.ext("activity"), { signal: page.signal, isQuiet: true });
      const isFirst = found === null;
      found = answer.json();
      if (isFirst) next = found.next;
      return EVERY;
    });

    async function more() {
      const answer = await api.send("GET", api.ext("activity"), { query: { after: next }, signal: page.signal });
      const part = answer.json();
      further = [...further, ...part.namespaces];
      next = part.next;
    }

    const row = ({ ns, ttlSecond, properties, sessions }) => html`<tr role="row">
      <th role="rowheader" scope="row"><a href=${address(["namespaces", ns])}>${ns}</a></th>
      <td role="cell" data-label="Sessions">${counted(sessions)}</td>
      <td role="cell" data-label="Properties">${counted(properties)}</td>
      <td role="cell" data-label="Time to live">${timeToLive(ttlSecond)}</td>
    </tr>`;

    const namespaces = () => {
      const all = [...found.namespaces, ...further];
      if (!all.length) return html`<p class="empty">There are no namespaces yet: saving a property creates one.</p>`;
      return html`<table role="table" aria-label="Namespaces">
        <thead role="rowgroup"><tr role="row">
          ${["Namespace", "Sessions", "Properties", "Time to live"].map(
            (name) => html`<th role="columnheader" scope="col">${name}</th>`)}
        </tr></thead>
        <tbody role="rowgroup">${repeat(all, ({ ns }) => ns, row)}</tbody>
      </table>
      ${next ? html`<button type="button" @click=${() => page.run(more)}>Show more namespaces</button>` : nothing}`;
    };

    return {
      title: "Activity",
      render: () => {
        if (poll.refusal) return refused(api.token, poll.refusal);
        if (!found) return html`<p class="hint">Reading…</p>`;
        return [
          html`<p class="mode ${poll.isAway ? "away" : "live"}" role="status">${poll.isAway
            ? "The service cannot be reached. Trying again…" : "Read again every 10 seconds"}</p>`,
          figures(found),
          html`<div class="charts">
            ${found.minutes ? [minutes(charts.saves, "Saves", "saves", found), minutes(charts.reads, "Reads", "reads", found)] : nothing}
            ${expiries(charts.expiring, found)}
          </div>`,
          namespaces(),
        ];
      },
    };
  },
};

function refused(token, message) {
  return [
    html`<p class="empty">This credential does not see what the account does. ${message}</p>`,
    token?.ns ? html`<p><a href=${address(["namespaces", token.ns, token.session])}>Open its session,
      <bdi>${token.session}</bdi></a></p>` : nothing,
  ];
}

function figures({ properties, sessions, minutes, expiring }) {
  const all = [
    ["Properties", properties && counted(properties)],
    ["Sessions", sessions && counted(sessions)],
    ["Saves in the last hour", minutes && number(sum(minutes, ({ saves }) => saves))],
    ["Reads in the last hour", minutes && number(sum(minutes, ({ reads }) => reads))],
    ["Expire within the hour", counted(total(expiring))],
  ];
  return html`<dl class="figures">${all.map(([name, value]) => value === undefined ? nothing
    : html`<div class="sheet"><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function minutes(chart, title, member, { minutes }) {
  const bars = minutes.map((minute) => ({ label: timeOfDay(minute.time), count: minute[member] }));
  const most = Math.max(...bars.map(({ count }) => count));
  const summary = `${number(sum(bars, ({ count }) => count))} in the last hour, ${number(most)} a minute at most.`;
  return chart.render(title, summary, bars, ["an hour ago", "now"], "Minute");
}

function expiries(chart, { expiring }) {
  const bars = expiring.map(({ time, properties }) => ({ label: `from ${timeOfDay(time)}`, ...properties }));
  const summary = `${counted(total(expiring))} properties in the next hour, unless they are saved again.`;
  return chart.render("Expiries to come", summary, bars, ["now", "in an hour"], "Five minutes");
}

function total(expiring) {
  return {
    count: sum(expiring, ({ properties }) => properties.count),
    estimated: expiring.some(({ properties }) => properties.estimated),
  };
}

function sum(items, of) {
  return items.reduce((result, item) => result + of(item), 0);
}
