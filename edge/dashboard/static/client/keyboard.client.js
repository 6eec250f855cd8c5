// @ts-check
// Keyboard shortcuts for lists: j and k move to the next and previous row, x selects, / goes to the search
// field, ? shows the shortcuts.

const SHORTCUTS_OFF = "lz-keys-off";
const ROWS = ".incidents > li, table.assets > tbody > tr";
const TEXT_FIELDS = "input:not([type=checkbox]), textarea, select";

const toggle = document.querySelector("[data-keys]");
// WCAG 2.2, 2.1.4: users of speech input must be able to turn off single-character shortcuts.
let isOn = localStorage.getItem(SHORTCUTS_OFF) === null;

function showToggle() {
  if (toggle) toggle.textContent = isOn ? "Turn shortcuts off" : "Turn shortcuts on";
}

function onToggle() {
  isOn = !isOn;
  if (isOn) localStorage.removeItem(SHORTCUTS_OFF);
  else localStorage.setItem(SHORTCUTS_OFF, "1");
  showToggle();
}

/** Moves the focus to the next row (1) or the previous one (-1). @param {1 | -1} step */
function moveFocus(step) {
  const rows = [...document.querySelectorAll(ROWS)];
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[here === -1 ? (step > 0 ? 0 : rows.length - 1) : here + step];
  const link = next?.querySelector("a");
  link?.focus();
  link?.scrollIntoView({ block: "nearest" });
  return true;
}

/** @param {string} selector */
function focusOn(selector) {
  const element = document.querySelector(selector);
  if (!(element instanceof HTMLElement)) return false;
  element.focus();
  element.scrollIntoView({ block: "nearest" });
  return true;
}

function selectRow() {
  document.activeElement?.closest(ROWS)?.querySelector("input")?.click();
  return true;
}

/** @type {Readonly<Record<string, () => boolean>>} */
const SHORTCUTS = {
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  x: selectRow,
  "/": () => focusOn("input[type=search]"),
  "?": () => focusOn("#keys"),
};

/** @param {KeyboardEvent} event */
function onKeydown(event) {
  if (!isOn || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target instanceof Element && event.target.matches(TEXT_FIELDS)) return;
  if (Object.hasOwn(SHORTCUTS, event.key) && SHORTCUTS[event.key]?.()) event.preventDefault();
}

export function watchKeyboard() {
  toggle?.addEventListener("click", onToggle);
  showToggle();
  document.addEventListener("keydown", onKeydown);
}
