import type { Child } from "hono/jsx";
import { REFUSALS, type Refusal } from "../../../shared/verdict.ts";
import type { Admin } from "../../auth/permissions.ts";
import { pageOfForm } from "../session/return-path.ts";
import { Icon, type IconName } from "./icon.tsx";
import { Layout } from "./layout.tsx";
import { Moment } from "./time.tsx";

/** Data about a failed request, for the error page. */
type Failure = {
  admin: Admin | undefined;
  requestId: string;
  nowMs: number;
  /** Path and query of the failed request. */
  path: string;
  /** True if the request was a form post: the user wanted to change something. */
  isChange: boolean;
};

type Explanation = {
  title?: string;
  /** The cause of the failure. Absent if the title already states the cause. */
  cause?: string;
  /** The next step for the user. */
  advice: string;
};

const FORBIDDEN: Explanation = {
  advice:
    "Ask an administrator of your organisation for the required role, or switch to an organisation where you have it.",
};

/** Explanations for the refusals that a page can return. */
const EXPLANATIONS: Partial<Record<Refusal["code"], Explanation>> = {
  "admin.forbidden": FORBIDDEN,
  "admin.no-organisation": {
    title: "Choose an organisation",
    cause: "You are signed in, but no organisation is active in your session.",
    advice: "Choose an organisation. If you are not a member of one, ask an administrator to invite you.",
  },
  "admin.cross-site": {
    title: "The form has expired",
    cause: "It was open for more than two hours, or it was not sent from this site in your own session.",
    advice:
      "Reload the page and send the form again. If you go back in your browser, your input may still be in the form.",
  },
  "admin.not-found": {
    title: "Page not found",
    cause: "This page does not exist, was removed, or belongs to another organisation.",
    advice: "Search for the host by name, or switch to the organisation that it belongs to.",
  },
  "admin.read-only": {
    advice: "Use a node that has the control key. Your administrator knows its address.",
  },
  "admin.invalid": {
    title: "Invalid address or form",
    cause:
      "The address contains an invalid filter or a cursor from another list, or a form field is missing.",
    advice: "Open the page from the navigation, then set the filter or fill in the form again.",
  },
  "admin.too-long": { advice: "No file was created." },
  "wire.too-large": {
    title: "The form is too large",
    advice: "Go back with your browser's back button, shorten your input, and send the form again.",
  },
};

const PERIOD: Explanation = {
  title: "Invalid report period",
  cause: "The last day is before the first day.",
  advice: "Go back and choose a first day that is not after the last day.",
};

/** The page for a refused request: what happened, what to do next, and the request id. */
export const failurePage = (failure: Failure & { refused: Refusal }) => {
  const { refused, admin, isChange } = failure;
  const { status, title } = REFUSALS[refused.code];
  const explanation = (refused.detail === "period" ? PERIOD : EXPLANATIONS[refused.code]) ?? {
    advice: "Go back and try again.",
  };
  const showsDetail = refused.code === "admin.forbidden" || refused.code === "admin.too-long";
  const cause = showsDetail && refused.detail !== undefined ? sentence(refused.detail) : explanation.cause;
  return (
    <ErrorNotice
      failure={failure}
      title={explanation.title ?? title}
      status={status}
      icon={status === 404 ? "absent" : "info"}
    >
      {cause !== undefined && <p>{cause}</p>}
      {refused.code === "admin.forbidden" && admin && (
        <p>
          You are signed in as <bdi>{admin.userId}</bdi>, with the role <strong>{admin.role}</strong>.
        </p>
      )}
      {isChange && (
        <p>
          <strong>Nothing was changed.</strong>
        </p>
      )}
      <p>{explanation.advice}</p>
    </ErrorNotice>
  );
};

const sentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;

/** The page for an internal error or a failed dependency. The cause is in the log only. */
export const unavailablePage = (failure: Failure) => (
  <ErrorNotice
    failure={failure}
    title={
      failure.isChange ? "It is unknown whether the change was saved" : "The dashboard cannot read its data"
    }
    status={503}
    icon="warning"
  >
    <p>
      {failure.isChange
        ? "The database did not respond. The change was either saved completely or not at all."
        : "The database does not respond, so this page cannot show the state of your hosts."}
    </p>
    <p>
      {failure.isChange
        ? "Go back to the page to see the saved state. You can send the same form again: the change is made only once."
        : "Agents store their reports until they can send them, and isolated hosts stay isolated. Reload the page in a few seconds."}
    </p>
  </ErrorNotice>
);

/** Path of the page that the user came from. */
const pageOf = ({ path, isChange }: Failure): string => (isChange ? pageOfForm(path) : path);

const ErrorNotice = (notice: {
  failure: Failure;
  title: string;
  status: number;
  icon: IconName;
  children: Child;
}) => {
  const { failure, status } = notice;
  const { admin, nowMs, requestId } = failure;
  return (
    <Layout frame={{ title: notice.title, admin, nowMs }}>
      <div class="centre failure">
        <p class="status-code">
          <Icon name={notice.icon} /> {String(status)}
        </p>
        <h1>{notice.title}</h1>
        {notice.children}
        <NextSteps failure={failure} status={status} />
        <p class="muted small">
          Request id <code>{requestId}</code>, <Moment at={new Date(nowMs).toISOString()} />. If you ask for
          help, include this id: it identifies the request in the log.
        </p>
      </div>
    </Layout>
  );
};

/** Buttons for the next step. A user without an organisation can only switch organisation or sign out. */
const NextSteps = ({ failure, status }: { failure: Failure; status: number }) => {
  const { admin, isChange } = failure;
  if (status === 403 && !admin) {
    return (
      <div class="onward">
        <a class="button primary" href="/sign-in?switch">
          Choose an organisation
        </a>
        <form method="post" action="/sign-out">
          <button type="submit">Sign out</button>
        </form>
      </div>
    );
  }
  const page = pageOf(failure);
  const showsBack = (isChange || status === 503) && page !== "/";
  return (
    <div class="onward">
      {showsBack && (
        <a class="button primary" href={page}>
          {isChange ? "Back to the page" : "Reload"}
        </a>
      )}
      {status === 404 && admin && (
        <a class="button" href="/assets">
          Find a host
        </a>
      )}
      <a class="button" href="/">
        {status === 503 && page === "/" ? "Reload" : "Go to the overview"}
      </a>
    </div>
  );
};
