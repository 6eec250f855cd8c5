// @ts-check
// Delays updates while the user presses a mouse button or a finger: a row that is inserted above would move the
// pressed link away, and the click would be lost.

/** Updates continue after this time even if the pointer is still down. */
const PRESSED_MS_MAX = 5000;

let released = Promise.resolve();

/** Resolves when nothing is pressed. */
export const pointerReleased = () => released;

export function watchPointer() {
  document.addEventListener("pointerdown", () => {
    released = new Promise((resolve) => {
      const limit = setTimeout(up, PRESSED_MS_MAX);
      function up() {
        clearTimeout(limit);
        for (const type of ["pointerup", "pointercancel"]) document.removeEventListener(type, up, true);
        // The click event follows in the same task, so resolve in the next one.
        setTimeout(resolve, 0);
      }
      for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, up, true);
    });
  });
}
