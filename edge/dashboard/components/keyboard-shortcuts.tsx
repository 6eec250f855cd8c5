/**
 * Lists the keyboard shortcuts, with a button that turns them off. Enter needs no shortcut, because browsers
 * already open the focused link.
 */
export const KeyboardShortcuts = ({
  selects,
  searches = true,
}: {
  selects?: boolean;
  searches?: boolean;
}) => (
  <p class="keys muted small" id="keys" tabindex={-1}>
    <span>
      <kbd>j</kbd> <kbd>k</kbd> next and previous, <kbd>Enter</kbd> open,{" "}
      {selects && (
        <>
          <kbd>x</kbd> select,{" "}
        </>
      )}
      {searches && (
        <>
          <kbd>/</kbd> search,{" "}
        </>
      )}
      <kbd>?</kbd> show shortcuts
    </span>{" "}
    <button type="button" class="plain" data-keys>
      Turn shortcuts off
    </button>
  </p>
);
