/** Keys of a list, told where they work. Enter is the browser's own, on the link that has the focus. */
export const Keys = ({ ticks }: { ticks?: boolean }) => (
  <p class="keys muted small">
    <span>
      <kbd>j</kbd> <kbd>k</kbd> next and previous, <kbd>Enter</kbd> opens,{" "}
      {ticks && (
        <>
          <kbd>x</kbd> ticks,{" "}
        </>
      )}
      <kbd>/</kbd> searches
    </span>{" "}
    <button type="button" class="plain" data-keys>
      Turn keys off
    </button>
  </p>
);
