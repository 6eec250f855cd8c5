import type { StopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { may, mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { readAssets } from "../../control/assets/read-assets.ts";
import { changedStopMode } from "../../control/containment/isolation-limits.ts";
import { listApprovals } from "../../control/containment/list-approvals.ts";
import { readSettings } from "../../control/tenant/update-tenant.ts";
import type { Deps } from "../../deps.ts";
import { Effect, type IsolationSettings, IsolationTerms, MODE_NAMES } from "../assets/isolation-terms.tsx";
import { Badge, plural } from "../components/badges.tsx";
import { ChangeForm, type Hidden, hiddenFor, whyNoForm } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago, Until } from "../components/time.tsx";
import { type ApprovalView, isUnanswered, isWaiting, listWaiting } from "./pending-approvals.ts";

const SHOWN_MAX = 50;

/** By what it was asked under; a request from before that was kept goes by the settings. */
const stoppingOf = (request: ApprovalView, { stopEnginesBy }: IsolationSettings): StopEnginesBy =>
  request.stopEnginesBy ?? stopEnginesBy;

type Asked = { request: ApprovalView; hostname: string; employeeId: string | undefined };
type Forms = { approve: Hidden; deny: Hidden; again: Hidden };

async function loadApprovals(deps: Deps, tenantId: string): Promise<Asked[]> {
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

/** Isolations that wait for a second person, and what became of those before. */
export async function approvalsPage(admin: Admin, deps: Deps, answer: { notice?: Notice | undefined } = {}) {
  const [asked, { value: settings }] = await Promise.all([
    loadApprovals(deps, admin.tenantId),
    readSettings(deps, admin.tenantId),
  ]);
  const now = deps.clock();
  const waiting = asked.filter(({ request }) => isWaiting(request, now));
  const lost = asked.filter(({ request }) => isUnanswered(request) && !isWaiting(request, now));
  const answered = asked.filter(({ request }) => !isUnanswered(request));
  const forms = await formsOf(admin, [...waiting, ...lost], deps);
  const who = "responders and administrators approve";
  const view = { admin, now, forms, settings, why: whyNoForm(admin, may(admin, "approve"), deps, who) };
  return (
    <Layout
      frame={{
        title: waiting.length > 0 ? `Approvals (${waiting.length})` : "Approvals",
        admin,
        place: "approvals",
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
          Where the <a href="/settings">settings</a> ask for a second person, an isolation waits here for up
          to an hour. Until somebody else approves, nothing is isolated.
        </p>
      </div>
      <NoticeStrip notice={answer.notice} />
      <section id="approvals-waiting" class="card" data-live aria-labelledby="approvals-waiting-title">
        <div class="card-head">
          <h2 id="approvals-waiting-title">Waiting for a second person</h2>
          <span class="muted">{plural(waiting.length, "request")}</span>
        </div>
        {waiting.length === 0 ? (
          <Empty title="No isolation waits for approval">
            {settings.fourEyes
              ? "The settings ask for a second person: whatever is asked for next appears here."
              : "The settings ask for no second person: an isolation goes out at once and does not come by here."}
          </Empty>
        ) : (
          <ul class="rows">
            {waiting.map((each) => (
              <Request asked={each} view={view} />
            ))}
          </ul>
        )}
      </section>
      {lost.length > 0 && (
        <Others id="approvals-lost" title="Expired without an answer" asked={lost} view={view}>
          These hosts were not isolated. Whoever still wants it asks again.
        </Others>
      )}
      {answered.length > 0 && (
        <Others id="approvals-answered" title="Answered" asked={answered} view={view} />
      )}
    </Layout>
  );
}

async function formsOf(
  admin: Admin,
  asked: readonly Asked[],
  deps: Deps,
): Promise<ReadonlyMap<string, Forms>> {
  const of = async (approvalId: string): Promise<[string, Forms]> => {
    const hidden = (action: string) => hiddenFor(admin, [action, approvalId], deps);
    const [approve, deny, again] = await Promise.all([hidden("approve"), hidden("deny"), hidden("again")]);
    return [approvalId, { approve, deny, again }];
  };
  return new Map(await Promise.all(asked.map(({ request }) => of(request.approvalId))));
}

const Others = (others: {
  id: string;
  title: string;
  asked: readonly Asked[];
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

const Request = ({ asked, view }: { asked: Asked; view: View }) => {
  const { request, hostname, employeeId } = asked;
  const { now, settings } = view;
  const waits = isWaiting(request, now);
  // Asked anew, a request that nobody answered goes by what the settings say then.
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
              <bdi>{employeeId}</bdi> works on it
            </>
          )}
        </p>
        <blockquote>
          <bdi>{request.justification}</bdi>
        </blockquote>
        <p class="muted small">
          Asked by <bdi>{request.requestedBy}</bdi>
          {request.keyMadeBy !== undefined && (
            <>
              , a key made by <bdi>{request.keyMadeBy}</bdi>,
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
      <Answer asked={asked} view={view} />
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

/** What this person may answer: everybody but who asked; and whoever may isolate may ask anew. */
const Answer = ({ asked, view }: { asked: Asked; view: View }) => {
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
            Ask again<span class="hidden"> to isolate {hostname}</span>
          </button>
        </ChangeForm>
      </div>
    );
  }
  if (why !== "") return <p class="muted small">{why}</p>;
  if (request.requestedBy === admin.userId)
    return <p class="muted small">You asked for it: somebody else has to approve.</p>;
  if (request.keyMadeBy === admin.userId)
    return <p class="muted small">You made the key that asked for it: somebody else has to approve.</p>;
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
          It cannot be approved: {otherwise}.
        </p>
      )}
      <ChangeForm look="inline" action={`${path}/deny`} name={`deny-${path}`} hidden={forms.deny}>
        <div class="field">
          <label for={`reason-${request.approvalId}`}>Reason to deny it</label>
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
