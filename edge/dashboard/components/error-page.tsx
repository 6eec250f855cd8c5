import type { Child } from "hono/jsx";
import { REFUSALS, type Refusal } from "../../../shared/verdict.ts";
import type { Admin } from "../../auth/permissions.ts";
import { formPlace } from "../session/return-path.ts";
import { Icon, type IconName } from "./icon.tsx";
import { Layout } from "./layout.tsx";
import { Moment } from "./time.tsx";

/** What went wrong, for whom, and where: enough to say what can be done about it. */
type Failure = {
  admin: Admin | undefined;
  requestId: string;
  nowMs: number;
  /** Path and query that were asked for. */
  path: string;
  /** A form was sent, and so something may have been meant to change. */
  isChange: boolean;
};

type Told = {
  title?: string;
  /** What happened, where the title alone does not say it. */
  what?: string;
  /** What the person can do about it. */
  advice: string;
};

const FORBIDDEN: Told = {
  advice:
    "Ask an administrator of your organisation for the role it takes, or switch to the organisation that gave you one.",
};

/** What a person can do about each refusal a page can give. */
const TOLD: Partial<Record<Refusal["code"], Told>> = {
  "admin.forbidden": FORBIDDEN,
  "admin.no-organisation": {
    title: "Choose an organisation",
    what: "You are signed in, and no organisation is active in your session.",
    advice:
      "Choose one where you signed in, then come back. If you belong to none, ask an administrator to invite you.",
  },
  "admin.cross-site": {
    title: "The form was not taken",
    what: "It lay open for too long, or it was not sent from a page of this site in your own session.",
    advice:
      "Load the page anew and send the form from there. What you typed may still be behind your browser's back button.",
  },
  "admin.not-found": {
    title: "There is nothing at this address",
    what: "It does not exist, it was removed, or it belongs to another organisation: which of them is not told.",
    advice: "Look for it by name among the assets, or switch to the organisation it belongs to.",
  },
  "admin.read-only": {
    advice: "Send it through a node that holds the control key: your administrators know its address.",
  },
  "admin.invalid": {
    title: "This address or form is not one that these pages make",
    what: "A filter in the address is unknown or misspelt, a link to a further page of a list is of another list, or a field of a form is missing.",
    advice: "Start from the page itself and choose again there.",
  },
  "admin.too-long": { advice: "Nothing was cut: no file was made." },
  "wire.too-large": {
    title: "What was sent is too long",
    advice: "Shorten what you typed: your browser's back button still has it.",
  },
};

const PERIOD: Told = {
  title: "These days end before they begin",
  what: "The last day of the report is before its first one.",
  advice: "Go back and choose the days again: what you chose is still there.",
};

/** A refusal, told: what it was, what can be done, the way onward, and the id that finds it in the log. */
export const failurePage = (failure: Failure & { refused: Refusal }) => {
  const { refused, admin, isChange } = failure;
  const { status, title } = REFUSALS[refused.code];
  const told = (refused.detail === "period" ? PERIOD : TOLD[refused.code]) ?? {
    advice: "Go back and try it another way.",
  };
  const isSaid = refused.code === "admin.forbidden" || refused.code === "admin.too-long";
  const why = isSaid && refused.detail !== undefined ? sentence(refused.detail) : told.what;
  return (
    <Notice
      failure={failure}
      title={told.title ?? title}
      status={status}
      icon={status === 404 ? "absent" : "info"}
    >
      {why !== undefined && <p>{why}</p>}
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
      <p>{told.advice}</p>
    </Notice>
  );
};

const sentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;

/** A fault of ours or of what we depend on. Says nothing of its cause: that is in the log. */
export const unavailablePage = (failure: Failure) => (
  <Notice
    failure={failure}
    title={
      failure.isChange ? "Whether it was done is not known" : "The dashboard cannot read its data just now"
    }
    status={503}
    icon="warning"
  >
    <p>
      {failure.isChange
        ? "The answer of the table did not arrive. The change is either recorded as a whole or not at all."
        : "Nothing is shown, because what could be shown would be a guess. What the hosts do now is not known here."}
    </p>
    <p>
      {failure.isChange
        ? "Go back to the page it was on: it shows what is recorded. The same form sent again makes no second record."
        : "Agents keep what they cannot deliver, and containment that was proven does not depend on this page. Load it again in a few seconds."}
    </p>
  </Notice>
);

const placeOf = ({ path, isChange }: Failure): string => (isChange ? formPlace(path) : path);

const Notice = (notice: {
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
        <Onward failure={failure} status={status} />
        <p class="muted small">
          Request <code>{requestId}</code>, <Moment at={new Date(nowMs).toISOString()} />. It finds this in
          the log of the node: give it to whoever you ask.
        </p>
      </div>
    </Layout>
  );
};

/** Where a person can go from here. Who was let in nowhere can only leave. */
const Onward = ({ failure, status }: { failure: Failure; status: number }) => {
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
  const place = placeOf(failure);
  const isAgain = (isChange || status === 503) && place !== "/";
  return (
    <div class="onward">
      {isAgain && (
        <a class="button primary" href={place}>
          {isChange ? "Back to the page" : "Load it again"}
        </a>
      )}
      {status === 404 && admin && (
        <a class="button" href="/assets">
          Find an asset
        </a>
      )}
      <a class="button" href="/">
        {status === 503 && place === "/" ? "Load it again" : "To the overview"}
      </a>
    </div>
  );
};
