/** Starts the console: the account that is signed in, the view of the address, and the page around it. */

import { html, nothing, render } from "./vendor/lit-html/lit-html.js";
import { isPassing, sleep } from "./api.js";
import { LastRequest } from "./copy_as.js";
import { address, match, read } from "./router.js";
import { signIn } from "./sign_in.js";
import { seen } from "./stream.js";
import { activity } from "./views/activity.js";
import { conversation } from "./views/conversation.js";
import { conversationHistory } from "./views/history.js";
import { job, jobs } from "./views/jobs.js";
import { keys } from "./views/keys.js";
import { namespaces } from "./views/namespaces.js";
import { sessions } from "./views/sessions.js";
import { transfer } from "./views/transfer.js";
import { webhooks } from "./views/webhooks.js";

/**
 * A view of the console.
 * @typedef {object} View
 * @property {string} path - Its addresses, such as `namespaces/:namespace`.
 * @property {string} [menu] - What the menu calls it, if it is there.
 * @property {boolean} [isForAdmins] - Whether the menu shows it only to who may manage the account.
 * @property {(page: Page, parameters: object) => OpenView} open - Called when the address becomes one of the view's.
 */

/**
 * @typedef {object} OpenView
 * @property {string} title - The heading.
 * @property {[string, string][]} [trail] - What is above it: labels and addresses.
 * @property {() => unknown} render - What lit-html shows below the heading.
 */

/**
 * What becomes of reading again and again.
 * @typedef {object} Poll
 * @property {string} refusal - Why the credential may not read; empty if it may.
 * @property {boolean} isAway - Whether the service could not be reached the last time.
 * @property {() => void} again - Reads again at once.
 */

/** All views; the first one of the menu is shown first. @type {View[]} */
const VIEWS = [activity, namespaces, sessions, conversation, conversationHistory, transfer, webhooks, jobs, job, keys];

const MENU = VIEWS.filter((view) => view.menu);

/** What a view needs of the page around it, until the user leaves it. */
class Page {
  #left = new AbortController();

  constructor(api, query) {
    this.api = api;
    /** The parameters of the address. */
    this.query = query;
  }

  /** Aborted when the user leaves the view: give it to each request and listener. */
  get signal() {
    return this.#left.signal;
  }

  /** Shows what the view renders now. */
  update = () => {
    if (!this.signal.aborted) show();
  };

  /** Shows what the view renders now, and moves the focus there. */
  focus(id) {
    if (this.signal.aborted) return;
    draw();
    document.getElementById(id)?.focus();
  }

  /** Tells users of screen readers what has changed. */
  announce(text) {
    if (!this.signal.aborted) announce(text);
  }

  /** Executes an asynchronous function, then updates. What it throws is shown above the view. */
  async run(work) {
    try {
      return await work();
    } catch (error) {
      if (!this.signal.aborted) state.error = error;
    } finally {
      this.update();
    }
  }

  /**
   * Reads now, and again and again while the view is looked at. After the first reading, what passes is tried again.
   * @param {() => Promise<number | null>} read - Reads; returns the milliseconds until the next time, null for never.
   * @returns {Poll}
   */
  poll(read) {
    const poll = { refusal: "", isAway: false, again() {} };
    this.run(async () => {
      for (let wait; ; ) {
        try {
          wait = await read();
          poll.isAway = false;
        } catch (error) {
          poll.refusal = error.status === 403 ? error.message : "";
          if (poll.refusal) return;
          if (wait === undefined || !isPassing(error)) throw error;
          poll.isAway = true;
        }
        if (wait === null) return;
        this.update();
        await Promise.race([sleep(wait, this.signal), new Promise((resolve) => { poll.again = resolve; })]);
        await seen(this.signal);
      }
    });
    return poll;
  }

  /** Replaces the parameters of the address, and opens the view again. */
  search(parameters) {
    const to = address(read(location.hash).segments, parameters);
    if (to === location.hash) open();
    else location.hash = to;
  }

  leave() {
    this.#left.abort();
  }
}

const state = {
  /** The signed-in account: an Api. */
  api: null,
  isAdmin: false,
  page: null,
  view: null,
  /** The view of the menu that is open. */
  section: null,
  error: null,
};

const root = document.createElement("div");
const said = document.createElement("p");

const lastRequest = new LastRequest(show, announce);

function start() {
  said.className = "said";
  said.setAttribute("role", "status");
  document.body.append(root, said);
  if (!("rawJSON" in JSON) || !CSS.supports("color", "light-dark(white, black)")) {
    render(html`<main class="alone"><h1>This browser is too old</h1>
      <p>The console needs Chrome 123, Firefox 135, Safari 18.4 or later.</p></main>`, root);
    return;
  }
  addEventListener("hashchange", open);
  show();
}

/** Opens the view of the address. */
function open() {
  if (!state.api) return;
  state.page?.leave();
  const at = read(location.hash);
  const segments = at && at.segments.join("") ? at.segments : [MENU[0].path];
  const page = new Page(state.api, at?.query ?? new URLSearchParams());
  Object.assign(state, { page, view: notFound, section: null, error: null });
  for (const view of VIEWS) {
    const parameters = at && match(view.path, segments);
    if (parameters) {
      state.section = MENU.find((one) => one.path.split("/")[0] === segments[0]);
      state.view = view.open(page, parameters);
      break;
    }
  }
  draw();
  scrollTo(0, 0);
  root.querySelector("h1")?.focus({ preventScroll: true });
}

function signedIn(api) {
  Object.assign(state, { api, isAdmin: false });
  api.addEventListener("request", show);
  open();
  api.keyLabels().then(
    (labels) => ({ isAdmin: labels !== null }),
    (error) => ({ error }),
  ).then((found) => {
    if (state.api === api) Object.assign(state, found);
    show();
  });
}

function signOut() {
  state.page.leave();
  Object.assign(state, { api: null, page: null, view: null, error: null });
  // What was looked at is not left to the next one at this screen.
  history.replaceState(null, "", location.pathname);
  draw();
  root.querySelector("input")?.focus();
}

let isScheduled = false;

/** Draws the page before the next frame, once for all that asks for it. */
function show() {
  if (isScheduled) return;
  isScheduled = true;
  queueMicrotask(() => {
    isScheduled = false;
    draw();
  });
}

function draw() {
  document.title = [state.view?.title, state.api?.account, "CCS console"].filter(Boolean).join(" · ");
  render(state.api ? shell() : signIn(signedIn, show), root);
}

function announce(text) {
  // The same words again are told again only if the text changes.
  said.textContent = said.textContent === text ? `${text}\u00a0` : text;
}

function shell() {
  const { api, view, error } = state;
  return html`
    <a class="skip" href="#content" @click=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="#/"><img src="/console/icon.svg" alt="" width="28" height="28"><span>CCS console</span></a>
      <nav aria-label="Views"><ul>
        ${MENU.filter((one) => state.isAdmin || !one.isForAdmins).map((one) => html`<li><a href=${address([one.path])}
            aria-current=${one === state.section ? "page" : nothing}>${one.menu}</a></li>`)}
      </ul></nav>
      <div class="who">
        <span>Account <strong><bdi>${api.account}</bdi></strong></span>
        <button type="button" class="plain" @click=${signOut}>Sign out</button>
      </div>
    </header>
    <main id="content">
      ${view.trail ? html`<nav class="trail" aria-label="Above"><ol>
        ${view.trail.map(([label, to]) => html`<li><a href=${to}><bdi>${label}</bdi></a></li>`)}</ol></nav>` : nothing}
      <h1 tabindex="-1"><bdi>${view.title}</bdi></h1>
      ${error ? html`<div class="error" role="alert"><p>${error.message}</p>
        <button type="button" class="plain" @click=${dismiss}>Dismiss</button></div>` : nothing}
      ${view.render()}
      ${lastRequest.render(api)}
    </main>`;
}

function skip(event) {
  event.preventDefault();
  root.querySelector("h1").focus();
}

function dismiss() {
  state.error = null;
  show();
}

const notFound = {
  title: "Nothing here",
  render: () => html`<p>The console has no view at this address. <a href="#/">Go to the first one.</a></p>`,
};

start();
