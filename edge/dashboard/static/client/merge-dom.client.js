// @ts-check
// Merges a newly rendered region of a page into the open page. Nodes that still exist stay in place, so that
// focus, scroll position, open <details> and typed text are kept.

/** @param {Node} node */
const keyOf = (node) =>
  node instanceof Element ? (node.getAttribute("data-key") ?? (node.id === "" ? null : node.id)) : null;

/** @param {Node} a @param {Node} b */
const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

/**
 * Attributes that hold the user's input: open, typed, selected, submitted. A merge does not change them on
 * form controls.
 */
const USER_STATE = new Set(["open", "value", "checked", "selected", "disabled", "aria-busy"]);
const HOLDS_USER_STATE = "details, input:not([type=hidden]), textarea, select, option, button";

/** @param {Element} from @param {Element} to */
function mergeAttributes(from, to) {
  const isKept = (/** @type {string} */ name) => USER_STATE.has(name) && from.matches(HOLDS_USER_STATE);
  for (const { name, value } of [...to.attributes]) {
    if (!isKept(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!isKept(name) && !to.hasAttribute(name)) from.removeAttribute(name);
  }
}

/** Makes `from` equal to `to`. @param {Node} from @param {Node} to */
export function merge(from, to) {
  if (from instanceof Element && to instanceof Element) {
    if (from.isEqualNode(to)) return;
    mergeAttributes(from, to);
    if (from.nodeName === "TIME" || from.nodeName === "TEXTAREA") return;
    mergeChildren(from, to);
  } else if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
}

/** @param {Element} from @param {Element} to */
function mergeChildren(from, to) {
  /** @type {ChildNode | null} */
  let position = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const found = findSame(position, wanted);
    if (!found) {
      from.insertBefore(document.importNode(wanted, true), position);
      continue;
    }
    // A node that moves loses its focus and scroll position. Where possible, the nodes before it are removed
    // instead.
    if (found !== position) {
      if (keyOf(wanted) !== null && isWantedLater(position, wanted)) from.insertBefore(found, position);
      else position = removeUntil(position, found);
    }
    merge(found, wanted);
    if (found === position) position = found.nextSibling;
  }
  removeUntil(position, null);
}

/** @param {ChildNode | null} first @param {Node} wanted */
function findSame(first, wanted) {
  let found = first;
  while (found && !isSame(found, wanted)) found = found.nextSibling;
  return found;
}

/** Removes siblings from `first` up to `end`, and returns `end`. @param {ChildNode | null} first @param {ChildNode | null} end */
function removeUntil(first, end) {
  let node = first;
  while (node && node !== end) {
    const next = node.nextSibling;
    node.remove();
    node = next;
  }
  return node;
}

/** @param {ChildNode | null} node @param {ChildNode} after */
function isWantedLater(node, after) {
  if (!node || keyOf(node) === null) return false;
  for (let next = after.nextSibling; next; next = next.nextSibling) if (isSame(node, next)) return true;
  return false;
}
