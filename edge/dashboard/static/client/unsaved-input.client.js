// @ts-check
// Decides whether the script may reload the page without losing something the user typed.

const RELOADED_AT = "lz-reloaded";
const RELOAD_MS_MIN = 30_000;

/**
 * Whether the user has edited a field. Filter fields do not count, because the address contains their values.
 * @param {Element} field
 */
function isEdited(field) {
  if (field instanceof HTMLTextAreaElement) return field.value !== field.defaultValue;
  if (!(field instanceof HTMLInputElement) || field.form?.matches("[data-filter]")) return false;
  return /^(checkbox|radio)$/.test(field.type)
    ? field.checked !== field.defaultChecked
    : field.value !== field.defaultValue;
}

/**
 * Reloads the page, unless the user has edited a form or the script already reloaded the page in the last 30
 * seconds.
 * @returns {boolean} whether the page reloads
 */
export function tryReload() {
  if ([...document.querySelectorAll("textarea, input:not([type=hidden])")].some(isEdited)) return false;
  const last = Number(sessionStorage.getItem(RELOADED_AT) ?? 0);
  if (Date.now() - last < RELOAD_MS_MIN) return false;
  sessionStorage.setItem(RELOADED_AT, String(Date.now()));
  location.reload();
  return true;
}
