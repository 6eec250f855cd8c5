import type { Child } from "hono/jsx";
import { REFUSALS, type Refusal } from "../../shared/refusal.ts";
import type { Admin } from "../admin/authenticate.ts";
import { Icon } from "./icon.tsx";
import { Layout } from "./layout.tsx";

/** What a person can do about each refusal a page can give. */
const ADVICE: Partial<Record<Refusal["code"], string>> = {
  "admin.forbidden": "Ask an administrator of your organisation for the role you need. Nothing was changed.",
  "admin.cross-site":
    "The form was not sent from a page of this site in your own session, or it lay open for too long. Nothing was changed. Load the page again and repeat it there.",
  "admin.not-found": "It does not exist, or it belongs to another organisation.",
  "admin.read-only": "Send it through a node that holds the control key. Nothing was changed.",
  "admin.invalid": "The address or the form was not one that these pages make. Nothing was changed.",
};

/** A refusal, told: what it was, what can be done, and the id that finds it in the log. */
export const failurePage = (failure: {
  refused: Refusal;
  admin: Admin | undefined;
  requestId: string;
  nowMs: number;
}) => {
  const { status, title } = REFUSALS[failure.refused.code];
  const detail = failure.refused.code === "admin.forbidden" ? failure.refused.detail : undefined;
  return (
    <Notice
      title={title}
      status={status}
      admin={failure.admin}
      nowMs={failure.nowMs}
      requestId={failure.requestId}
    >
      {detail && <p>It was refused because: {detail}.</p>}
      <p>{ADVICE[failure.refused.code] ?? "Nothing was changed."}</p>
    </Notice>
  );
};

/** A fault of ours or of what we depend on. Says nothing of its cause: that is in the log. */
export const unavailablePage = (failure: { admin: Admin | undefined; requestId: string; nowMs: number }) => (
  <Notice
    title="The dashboard cannot read its data just now"
    status={503}
    admin={failure.admin}
    nowMs={failure.nowMs}
    requestId={failure.requestId}
  >
    <p>
      Agents keep what they cannot deliver, and containment that was proven stays in force. Load the page
      again in a few seconds.
    </p>
  </Notice>
);

const Notice = (notice: {
  title: string;
  status: number;
  admin: Admin | undefined;
  requestId: string;
  nowMs: number;
  children: Child;
}) => (
  <Layout frame={{ title: notice.title, admin: notice.admin, nowMs: notice.nowMs }}>
    <div class="centre">
      <p class="status-code">
        <Icon name={notice.status >= 500 ? "warning" : "info"} /> {String(notice.status)}
      </p>
      <h1>{notice.title}</h1>
      {notice.children}
      {notice.status === 403 && !notice.admin ? (
        <form method="post" action="/sign-out">
          <button type="submit">Sign out</button>
        </form>
      ) : (
        <p>
          <a class="button" href="/">
            To the overview
          </a>
        </p>
      )}
      <p class="muted small">
        Request <code>{notice.requestId}</code>
      </p>
    </div>
  </Layout>
);
