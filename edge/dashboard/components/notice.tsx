import { Icon } from "./icon.tsx";

export type Notice = { tone: "ok" | "warning"; words: string };

/** Shows the result of the last change at the top of the page. */
export const NoticeStrip = ({ notice }: { notice: Notice | undefined }) =>
  notice ? (
    <p class={`strip ${notice.tone}`} role="status">
      <Icon name={notice.tone === "ok" ? "ok" : "warning"} />
      {notice.words}
    </p>
  ) : null;

/**
 * A validation error. `where`: id of the invalid field. `line`: line number in a text area, counted from 1.
 * `words`: the message.
 */
export type Wrong = { where?: string | undefined; line?: number | undefined; words: string };

/**
 * Lists all validation errors of a form, each with a link to its field. `what`: name of the edited document
 * in the message, for example "policy".
 */
export const WrongList = ({ what, wrong }: { what: string; wrong: readonly Wrong[] }) =>
  wrong.length === 0 ? null : (
    <div class="strip critical" role="alert" id="wrong">
      <Icon name="critical" />
      <div>
        <p>{`Nothing was saved. Fix these errors in the ${what}, then save again:`}</p>
        <ul>
          {wrong.map(({ where, line, words }) => (
            <li>
              {line !== undefined && `line ${line}: `}
              {where === undefined ? words : <a href={`#${where}`}>{words}</a>}
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
