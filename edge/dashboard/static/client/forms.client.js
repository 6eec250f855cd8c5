// @ts-check
// Filters update their list while the user types. Forms with data-once are disabled after they are submitted.
import { pollFiltered } from "./polling.client.js";

const TYPING_PAUSE_MS = 250;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Puts the filter into the address, so that the user can share the filtered list, and polls. @param
 * {HTMLFormElement} form
 */
function applyFilter(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") query.set(name, String(value));
  const search = query.toString();
  history.replaceState(null, "", search === "" ? form.action : `${form.action}?${search}`);
  pollFiltered();
}

/** @param {Event} event */
function onInput(event) {
  const form = event.target instanceof Element ? event.target.closest("form[data-filter]") : null;
  if (!(form instanceof HTMLFormElement)) return;
  clearTimeout(timer);
  timer = setTimeout(() => applyFilter(form), TYPING_PAUSE_MS);
}

/** @param {SubmitEvent} event */
function onSubmit(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement)) return;
  if (form.matches("[data-filter]")) {
    event.preventDefault();
    clearTimeout(timer);
    applyFilter(form);
  } else if (form.matches("[data-once]")) {
    // Prevents a second request. The server also treats a double submit as one change (idempotency key).
    const button = form.querySelector("button[type=submit]");
    if (!(button instanceof HTMLButtonElement)) return;
    button.setAttribute("aria-busy", "true");
    setTimeout(() => {
      button.disabled = true;
    }, 0);
  }
}

/** Enables buttons again on a page that the browser restores from its history. */
export function enableForms() {
  for (const button of document.querySelectorAll("form[data-once] button")) {
    button.removeAttribute("aria-busy");
    if (button instanceof HTMLButtonElement) button.disabled = false;
  }
}

export function watchForms() {
  document.addEventListener("input", onInput);
  document.addEventListener("submit", onSubmit);
}
