/** A question in front of everything else: it is answered, or left by Cancel or Escape. */

import { html, nothing } from "./vendor/lit-html/lit-html.js";

const ID = "question";

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {() => unknown} body - What lit-html shows: a text, fields, or both.
 * @property {string} does - What the button says.
 * @property {boolean} [isDanger] - Whether what it does cannot be undone.
 * @property {(fields: FormData) => Promise<void>} act - Called when it is pressed. What it throws is shown, and the
 *   question stays.
 */

export class Dialog {
  /** @type {Question | null} */
  #question = null;
  #isBusy = false;
  #message = "";

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {Question} question */
  ask(question) {
    this.#question = question;
    this.#message = "";
    this.page.focus(ID);
    document.getElementById(ID).showModal();
  }

  render() {
    if (!this.#question) return nothing;
    const { title, body, does, isDanger } = this.#question;
    return html`<dialog id=${ID} aria-labelledby="dialog-title" @close=${this.#closed}>
      <form @submit=${this.#submit}>
        <h2 id="dialog-title">${title}</h2>
        ${body()}
        ${this.#message ? html`<p class="error" role="alert">${this.#message}</p>` : nothing}
        <div class="row">
          <button class=${isDanger ? "danger" : "main"} ?disabled=${this.#isBusy}>${does}</button>
          <button type="button" @click=${this.close}>Cancel</button>
        </div>
      </form>
    </dialog>`;
  }

  close() {
    document.getElementById(ID)?.close();
  }

  /** The browser has given the focus back to what had it before. */
  #closed = () => {
    this.#question = null;
    this.page.update();
  };

  #submit = async (event) => {
    event.preventDefault();
    const question = this.#question;
    this.#isBusy = true;
    this.#message = "";
    this.page.update();
    try {
      await question.act(new FormData(event.target));
      if (this.#question === question) this.close();
    } catch (error) {
      this.#message = error.message;
    } finally {
      this.#isBusy = false;
      this.page.update();
    }
  };
}
