import type { Notice } from "./asset.tsx";
import { Icon } from "./icon.tsx";

/** What became of the change before, said once at the head of the page. */
export const NoticeStrip = ({ notice }: { notice: Notice | undefined }) =>
  notice ? (
    <p class={`strip ${notice.tone}`} role="status">
      <Icon name={notice.tone === "ok" ? "ok" : "warning"} />
      {notice.words}
    </p>
  ) : null;

/** Why a form was not taken: every place at once, and that nothing was changed. */
export const Wrong = ({ what, wrong }: { what: string; wrong: readonly string[] }) =>
  wrong.length === 0 ? null : (
    <div class="strip critical" role="alert">
      <Icon name="critical" />
      <div>
        <p>The {what} was not changed:</p>
        <ul>
          {wrong.map((each) => (
            <li>{each}</li>
          ))}
        </ul>
      </div>
    </div>
  );
