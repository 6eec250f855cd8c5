/** Keys of a list, told where they work. Enter is the browser's own, on the link that has the focus. */
export const Keys = ({ ticks, searches = true }: { ticks?: boolean; searches?: boolean }) => (
  <p class="keys muted small" id="keys" tabindex={-1}>
    <span>
      <kbd>j</kbd> <kbd>k</kbd> next and previous, <kbd>Enter</kbd> opens,{" "}
      {ticks && (
        <>
          <kbd>x</kbd> ticks,{" "}
        </>
      )}
      {searches && (
        <>
          <kbd>/</kbd> searches,{" "}
        </>
      )}
      <kbd>?</kbd> shows these
    </span>{" "}
    <button type="button" class="plain" data-keys>
      Turn keys off
    </button>
  </p>
);
