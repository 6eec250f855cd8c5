// @ts-check
// Delays updates while the user presses a mouse button or touches the screen. Otherwise a row inserted above
// would move the pressed link away, and the click would be lost.

/** Maximum time in ms by which a pressed pointer delays updates. */
const PRESSED_MS_MAX = 5000;

let released = Promise.resolve();

/** Returns a promise that resolves when no mouse button is pressed and no finger touches the screen. */
export const pointerReleased = () => released;

export function watchPointer() {
  document.addEventListener("pointerdown", () => {
    released = new Promise((resolve) => {
      const limit = setTimeout(up, PRESSED_MS_MAX);
      function up() {
        clearTimeout(limit);
        for (const type of ["pointerup", "pointercancel"]) document.removeEventListener(type, up, true);
        // The click event follows in the same task, so the promise resolves in the next task.
        setTimeout(resolve, 0);
      }
      for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, up, true);
    });
  });
}
