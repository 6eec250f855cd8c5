import type { StopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { may, mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { readAssets } from "../../control/assets/read-assets.ts";
import { changedStopMode } from "../../control/containment/isolation-limits.ts";
import { listApprovals } from "../../control/containment/list-approvals.ts";
import { readSettings } from "../../control/tenant/update-tenant.ts";
import { Effect, type IsolationSettings, IsolationTerms, MODE_NAMES } from "../assets/isolation-terms.tsx";
import { Badge, plural } from "../components/badges.tsx";
import { ChangeForm, type Hidden, hiddenFor, readOnlyReason } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago, Until } from "../components/time.tsx";
import type { DashboardDeps } from "../deps.ts";
import { type ApprovalView, isUnanswered, isWaiting, listWaiting } from "./pending-approvals.ts";

const SHOWN_MAX = 50;

/**
 * How the requested isolation stops engines. Older requests do not store this value, so the current setting
 * applies to them.
 */
const stoppingOf = (request: ApprovalView, { stopEnginesBy }: IsolationSettings): StopEnginesBy =>
  request.stopEnginesBy ?? stopEnginesBy;

type RequestOnHost = { request: ApprovalView; hostname: string; employeeId: string | undefined };
type Forms = { approve: Hidden; deny: Hidden; again: Hidden };

async function loadApprovals(deps: DashboardDeps, tenantId: string): Promise<RequestOnHost[]> {
  const [newest, { waiting }] = await Promise.all([
    listApprovals(deps, tenantId, { limit: SHOWN_MAX }),
    listWaiting(deps, tenantId),
  ]);
  const known = new Set(newest.items.map(({ approvalId }) => approvalId));
  const items = [...newest.items, ...waiting.filter(({ approvalId }) => !known.has(approvalId))];
  const ids = [...new Set(items.map(({ assetId }) => assetId))];
  const assets = new Map((await readAssets(deps, tenantId, ids)).map((asset) => [asset.assetId, asset]));
  return items.map((request) => {
    const asset = assets.get(request.assetId);
    return { request, hostname: asset?.hostname ?? request.assetId, employeeId: asset?.employeeId };
  });
}

/**
 * The page of isolation requests. It lists requests that wait for a second person, expired requests, and
 * answered requests.
 */
export async function approvalsPage(
  admin: Admin,
  deps: DashboardDeps,
  answer: { notice?: Notice | undefined } = {},
) {
  const [asked, { value: settings }] = await Promise.all([
    loadApprovals(deps, admin.tenantId),
    readSettings(deps, admin.tenantId),
  ]);
  const now = deps.clock();
  const waiting = asked.filter(({ request }) => isWaiting(request, now));
  const expired = asked.filter(({ request }) => isUnanswered(request) && !isWaiting(request, now));
  const answered = asked.filter(({ request }) => !isUnanswered(request));
  const forms = await formsOf(admin, [...waiting, ...expired], deps);
  const approvers = "responders and administrators can approve requests";
  const view = {
    admin,
    now,
    forms,
    settings,
    why: readOnlyReason(admin, may(admin, "approve"), deps, approvers),
  };
  return (
    <Layout
      frame={{
        title: waiting.length > 0 ? `Approvals (${waiting.length})` : "Approvals",
        admin,
        nav: "approvals",
        nowMs: now,
        live: true,
        pollPath: answer.notice && "/approvals",
      }}
    >
      <div class="page-head">
        <div class="card-head">
          <h1>Approvals</h1>
          {asked.length > 0 && <DownloadLinks list="approvals" />}
        </div>
        <p class="muted">
          If the <a href="/settings">settings</a> require a second person, an isolation waits here for up to
          one hour. The host is not isolated until another user approves the request.
        </p>
      </div>
      <NoticeStrip notice={answer.notice} />
      <section id="approvals-waiting" class="card" data-live aria-labelledby="approvals-waiting-title">
        <div class="card-head">
          <h2 id="approvals-waiting-title">Waiting for a second person</h2>
          <span class="muted">{plural(waiting.length, "request")}</span>
        </div>
        {waiting.length === 0 ? (
          <Empty title="No requests are waiting">
            {settings.fourEyes
              ? "The settings require a second person, so new isolation requests appear here."
              : "The settings do not require a second person, so isolations take effect immediately and do not appear here."}
          </Empty>
        ) : (
          <ul class="rows">
            {waiting.map((each) => (
              <Request asked={each} view={view} />
            ))}
          </ul>
        )}
      </section>
      {expired.length > 0 && (
        <OtherRequests id="approvals-lost" title="Expired without a decision" asked={expired} view={view}>
          These hosts were not isolated. If the isolation is still needed, request it again.
        </OtherRequests>
      )}
      {answered.length > 0 && (
        <OtherRequests id="approvals-answered" title="Approved or denied" asked={answered} view={view} />
      )}
    </Layout>
  );
}

async function formsOf(
  admin: Admin,
  asked: readonly RequestOnHost[],
  deps: DashboardDeps,
): Promise<ReadonlyMap<string, Forms>> {
  const of = async (approvalId: string): Promise<[string, Forms]> => {
    const hidden = (action: string) => hiddenFor(admin, [action, approvalId], deps);
    const [approve, deny, again] = await Promise.all([hidden("approve"), hidden("deny"), hidden("again")]);
    return [approvalId, { approve, deny, again }];
  };
  return new Map(await Promise.all(asked.map(({ request }) => of(request.approvalId))));
}

const OtherRequests = (others: {
  id: string;
  title: string;
  asked: readonly RequestOnHost[];
  view: View;
  children?: string;
}) => (
  <section id={others.id} class="card" data-live aria-labelledby={`${others.id}-title`}>
    <div class="card-head">
      <h2 id={`${others.id}-title`}>{others.title}</h2>
      <span class="muted">{plural(others.asked.length, "request")}</span>
    </div>
    {others.children && <p class="muted">{others.children}</p>}
    <ul class="rows">
      {others.asked.map((each) => (
        <Request asked={each} view={others.view} />
      ))}
    </ul>
  </section>
);

type View = {
  admin: Admin;
  now: number;
  forms: ReadonlyMap<string, Forms>;
  settings: IsolationSettings;
  why: string;
};

const Request = ({ asked, view }: { asked: RequestOnHost; view: View }) => {
  const { request, hostname, employeeId } = asked;
  const { now, settings } = view;
  const waits = isWaiting(request, now);
  // A repeated request uses the current setting, even if the expired request had another one.
  const by = waits ? stoppingOf(request, settings) : settings.stopEnginesBy;
  return (
    <li data-key={request.approvalId} class="request">
      <div>
        <p>
          Isolate{" "}
          <a href={`/assets/${request.assetId}`}>
            <bdi>{hostname}</bdi>
          </a>
          , mode <strong>{MODE_NAMES[request.mode]}</strong>
          {employeeId && !isUnanswered(request) && (
            <>
              {" · "}
              used by <bdi>{employeeId}</bdi>
            </>
          )}
        </p>
        <blockquote>
          <bdi>{request.justification}</bdi>
        </blockquote>
        <p class="muted small">
          Requested by <bdi>{request.requestedBy}</bdi>
          {request.keyMadeBy !== undefined && (
            <>
              , an API key created by <bdi>{request.keyMadeBy}</bdi>,
            </>
          )}{" "}
          <Ago at={request.requestedAt} now={now} />
        </p>
        {isUnanswered(request) && (
          <div class="what-happens">
            <Effect mode={request.mode} by={by} />
            <IsolationTerms employeeId={employeeId} settings={settings} />
          </div>
        )}
      </div>
      <div class="end">
        <Outcome request={request} now={now} />
      </div>
      <ResponseForms asked={asked} view={view} />
    </li>
  );
};

const Outcome = ({ request, now }: { request: ApprovalView; now: number }) => {
  if (isWaiting(request, now)) {
    return (
      <>
        <Badge tone="warning" icon="pending">
          Waiting
        </Badge>
        <p class="muted small">
          expires <Until at={request.validUntil} now={now} />
        </p>
      </>
    );
  }
  const { approvedAt, approvedBy, deniedAt, deniedBy } = request;
  const by = approvedBy ?? deniedBy;
  const at = approvedAt ?? deniedAt ?? request.validUntil;
  const [tone, icon, word] =
    approvedAt !== undefined
      ? (["ok", "ok", "Approved"] as const)
      : deniedAt !== undefined
        ? (["quiet", "failed", "Denied"] as const)
        : (["quiet", "absent", "Expired"] as const);
  return (
    <>
      <Badge tone={tone} icon={icon}>
        {word}
      </Badge>
      <p class="muted small">
        {by !== undefined && (
          <>
            by <bdi>{by}</bdi>{" "}
          </>
        )}
        <Ago at={at} now={now} />
      </p>
    </>
  );
};

/** Forms to approve or deny a waiting request, or to repeat an expired one. Users cannot approve their own requests. */
const ResponseForms = ({ asked, view }: { asked: RequestOnHost; view: View }) => {
  const { request, hostname } = asked;
  const { admin, now, why } = view;
  const forms = view.forms.get(request.approvalId);
  if (!forms) return null;
  const path = `/approvals/${request.approvalId}`;
  if (!isWaiting(request, now)) {
    if (!mayRespond(admin) || why !== "") return null;
    return (
      <div class="answers">
        <ChangeForm look="inline" action={`${path}/again`} name={`again-${path}`} hidden={forms.again}>
          <button type="submit">
            Request again<span class="hidden"> to isolate {hostname}</span>
          </button>
        </ChangeForm>
      </div>
    );
  }
  if (why !== "") return <p class="muted small">{why}</p>;
  if (request.requestedBy === admin.userId)
    return <p class="muted small">You made this request, so another user must approve it.</p>;
  if (request.keyMadeBy === admin.userId)
    return (
      <p class="muted small">
        You created the API key that made this request, so another user must approve it.
      </p>
    );
  const otherwise = changedStopMode(request, view.settings.stopEnginesBy);
  return (
    <div class="answers">
      {otherwise === undefined ? (
        <ChangeForm look="inline" action={`${path}/approve`} name={`approve-${path}`} hidden={forms.approve}>
          <label class="confirm">
            <input type="checkbox" name="confirm" value="yes" required />
            <span>
              Isolate <bdi>{hostname}</bdi> now
            </span>
          </label>
          <button class="danger" type="submit">
            Approve
          </button>
        </ChangeForm>
      ) : (
        <p class="strip warning">
          <Icon name="warning" />
          {`This request cannot be approved: ${otherwise}.`}
        </p>
      )}
      <ChangeForm look="inline" action={`${path}/deny`} name={`deny-${path}`} hidden={forms.deny}>
        <div class="field">
          <label for={`reason-${request.approvalId}`}>Reason to deny</label>
          <input
            id={`reason-${request.approvalId}`}
            name="justification"
            type="text"
            required
            minlength={3}
            maxlength={200}
          />
        </div>
        <button type="submit">Deny</button>
      </ChangeForm>
    </div>
  );
};
