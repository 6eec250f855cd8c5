import { Icon } from "./icon.tsx";

export type Notice = { tone: "ok" | "warning"; words: string };

/** What became of the change before, said once at the head of the page. */
export const NoticeStrip = ({ notice }: { notice: Notice | undefined }) =>
  notice ? (
    <p class={`strip ${notice.tone}`} role="status">
      <Icon name={notice.tone === "ok" ? "ok" : "warning"} />
      {notice.words}
    </p>
  ) : null;

/** What is wrong, and where: the field it stands in, the line of a text that was typed. */
export type Wrong = { where?: string | undefined; line?: number | undefined; words: string };

/** Why a form was not taken: every place at once, each a link to it, and that nothing was changed. */
export const WrongList = ({ what, wrong }: { what: string; wrong: readonly Wrong[] }) =>
  wrong.length === 0 ? null : (
    <div class="strip critical" role="alert" id="wrong">
      <Icon name="critical" />
      <div>
        <p>The {what} was not changed:</p>
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
