import { z } from "zod";
import { base64url } from "../../../shared/encoding/bytes.ts";
import { IDEMPOTENCY_KEY_FORM } from "../../../shared/wire/idempotency-key.ts";
import { integerText } from "../../../shared/wire/integer.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { EnrolmentTokenView } from "../../control/credentials/credential-views.ts";
import { listEnrolmentTokens, type MadeToken } from "../../control/credentials/manage-enrolment-tokens.ts";
import { JUSTIFICATION_CHARACTERS_MIN } from "../../control/justification.ts";
import { Badge, plural, type Tone } from "../components/badges.tsx";
import { ChangeForm, type Hidden, hiddenFor, READ_ONLY_NODE } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago, Until } from "../components/time.tsx";
import type { DashboardDeps } from "../deps.ts";
import { RESOLUTION_CHARACTERS_MAX } from "../routing/parse-form.ts";
import { csrfToken } from "../session/csrf.ts";
import { Commands } from "./install-commands.tsx";

const USES_MAX = 100_000;
const DAYS_MAX = 90;

export const enrolmentForm = z.strictObject({
  csrf: z.string(),
  /** Idempotency key. If the form is submitted twice, the second response shows the same token. */
  key: z.string().regex(IDEMPOTENCY_KEY_FORM),
  uses: integerText(1, USES_MAX),
  days: integerText(1, DAYS_MAX),
});
export const mayEnrol = (admin: Admin): boolean => may(admin, "manage-tokens");

const TOKENS_SHOWN_MAX = 20;

/** The enrolment page. It creates tokens, shows the commands that use them, and lists the newest tokens. */
export async function enrolmentPage(
  admin: Admin,
  deps: DashboardDeps,
  page: { origin: string; issued?: MadeToken; wrong?: boolean; notice?: Notice | undefined },
) {
  const allowed = mayEnrol(admin);
  const csrf = allowed && deps.controlKey ? await csrfToken(admin, deps) : undefined;
  const key = base64url(deps.random(18));
  const known = allowed
    ? await listEnrolmentTokens(deps, admin.tenantId, { limit: TOKENS_SHOWN_MAX })
    : undefined;
  const writes = csrf !== undefined;
  const tokens = await Promise.all(
    (known?.items ?? []).map(async (token) => ({
      token,
      ...(writes &&
        token.status === "valid" && {
          hidden: await hiddenFor(admin, ["revoke-enrolment-token", token.tokenId], deps),
        }),
    })),
  );
  return (
    <Layout frame={{ title: "Enrol hosts", admin, nav: "assets", nowMs: deps.clock() }}>
      <div class="page-head">
        <p class="crumbs">
          <a href="/assets">Hosts</a>
        </p>
        <h1>Enrol hosts</h1>
        <p class="muted">
          Each use of a token enrols one host. During enrolment, the host creates its own device key, which
          never leaves the host, and pins the public key of the control plane.
        </p>
      </div>
      <NoticeStrip notice={page.notice} />
      {page.issued && (
        <Commands issued={page.issued} origin={page.origin} downloadUrl={deps.agentDownloadUrl} />
      )}
      <section class="card" aria-labelledby="enrol-title">
        <h2 id="enrol-title">{page.issued ? "Create another token" : "Create an enrolment token"}</h2>
        {csrf === undefined ? (
          <p class="muted">
            {deps.controlKey
              ? "Only administrators of your organisation can create enrolment tokens."
              : READ_ONLY_NODE}
          </p>
        ) : (
          <TokenForm csrf={csrf} formKey={key} wrong={page.wrong ?? false} />
        )}
      </section>
      {tokens.length > 0 && <Tokens tokens={tokens} now={deps.clock()} />}
    </Layout>
  );
}

const TokenForm = ({ csrf, formKey, wrong }: { csrf: string; formKey: string; wrong: boolean }) => (
  <ChangeForm look="filter" action="/enrol" hidden={{ csrf, key: formKey }}>
    <div class="field">
      <label for="uses">Number of hosts</label>
      <input id="uses" name="uses" type="number" min={1} max={USES_MAX} value="1" required />
    </div>
    <div class="field">
      <label for="days">Valid for (days)</label>
      <input id="days" name="days" type="number" min={1} max={DAYS_MAX} value="1" required />
    </div>
    <button class="primary" type="submit">
      Create token
    </button>
    {wrong && (
      <p class="strip critical" role="alert">
        <Icon name="critical" />
        {`No token was created. Enter 1 to ${USES_MAX.toLocaleString("en")} hosts and 1 to ${DAYS_MAX} days.`}
      </p>
    )}
  </ChangeForm>
);

const STATUS: Record<EnrolmentTokenView["status"], { tone: Tone; icon: IconName; label: string }> = {
  valid: { tone: "ok", icon: "ok", label: "Valid" },
  "used-up": { tone: "quiet", icon: "ok", label: "Used up" },
  expired: { tone: "quiet", icon: "absent", label: "Expired" },
  revoked: { tone: "quiet", icon: "failed", label: "Revoked" },
};

type Shown = { token: EnrolmentTokenView; hidden?: Hidden };

const Tokens = ({ tokens, now }: { tokens: readonly Shown[]; now: number }) => (
  <section class="card" aria-labelledby="tokens-title">
    <div class="card-head">
      <h2 id="tokens-title">Newest tokens</h2>
      <DownloadLinks list="enrolment-tokens" />
    </div>
    <ul class="rows">
      {tokens.map(({ token, hidden }) => (
        <li>
          <div>
            <code>{token.tokenId}</code>
            <p class="muted small">
              by <bdi>{token.createdBy}</bdi> <Ago at={token.createdAt} now={now} />,{" "}
              {Date.parse(token.validUntil) > now ? "expires" : "expired"}{" "}
              <Until at={token.validUntil} now={now} />
            </p>
            {hidden && <Revoke tokenId={token.tokenId} hidden={hidden} />}
          </div>
          <div class="end">
            <Badge tone={STATUS[token.status].tone} icon={STATUS[token.status].icon}>
              {STATUS[token.status].label}
            </Badge>
            <p class="muted small">
              {token.used.toLocaleString("en")} of {plural(token.uses, "use")}
            </p>
          </div>
        </li>
      ))}
    </ul>
  </section>
);

/** The form to revoke a token. It is collapsed, because users rarely revoke tokens. */
const Revoke = ({ tokenId, hidden }: { tokenId: string; hidden: Hidden }) => (
  <details>
    <summary aria-label={`Revoke token ${tokenId}`}>Revoke…</summary>
    <ChangeForm look="inline" action={`/enrol/${tokenId}/revoke`} name={`revoke-${tokenId}`} hidden={hidden}>
      <div class="field">
        <label for={`reason-${tokenId}`}>Reason to revoke</label>
        <input
          id={`reason-${tokenId}`}
          name="justification"
          type="text"
          required
          minlength={JUSTIFICATION_CHARACTERS_MIN}
          maxlength={RESOLUTION_CHARACTERS_MAX}
        />
      </div>
      <button class="danger" type="submit">
        Revoke token
      </button>
    </ChangeForm>
    <p class="muted small">The token cannot enrol hosts any more. Hosts that used it stay enrolled.</p>
  </details>
);
