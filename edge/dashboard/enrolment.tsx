import { z } from "zod";
import { base64url } from "../../shared/bytes.ts";
import { type Admin, may } from "../admin/authenticate.ts";
import { listEnrolmentTokens, type MadeToken } from "../admin/enrolment-tokens.ts";
import type { EnrolmentTokenView } from "../admin/views.ts";
import type { Deps } from "../deps.ts";
import { Badge, plural, type Tone } from "./badges.tsx";
import { ChangeForm } from "./change-form.tsx";
import { csrfToken } from "./csrf.ts";
import { DownloadLinks } from "./download-links.tsx";
import { Icon, type IconName } from "./icon.tsx";
import { Layout } from "./layout.tsx";
import { Ago, Moment } from "./time.tsx";

const USES_MAX = 100_000;
const DAYS_MAX = 90;

export const enrolmentForm = z.strictObject({
  csrf: z.string(),
  /** Of this very page: the same form sent twice is shown the same token. */
  key: z.string().regex(/^[A-Za-z0-9_-]{8,100}$/),
  uses: z.coerce.number().int().min(1).max(USES_MAX),
  days: z.coerce.number().int().min(1).max(DAYS_MAX),
});
export const mayEnrol = (admin: Admin): boolean => may(admin, "manage-tokens");

const TOKENS_SHOWN_MAX = 20;

/** Where a fleet begins: a token, and the commands that use it. */
export async function enrolmentPage(
  admin: Admin,
  deps: Deps,
  page: { origin: string; issued?: MadeToken; wrong?: boolean },
) {
  const allowed = mayEnrol(admin);
  const csrf = allowed && deps.controlKey ? await csrfToken(admin, deps) : undefined;
  const key = base64url(deps.random(18));
  const known = allowed
    ? await listEnrolmentTokens(deps, admin.tenantId, { limit: TOKENS_SHOWN_MAX })
    : undefined;
  return (
    <Layout frame={{ title: "Enrol hosts", admin, place: "assets", nowMs: deps.clock() }}>
      <div class="page-head">
        <p class="crumbs">
          <a href="/assets">Assets</a>
        </p>
        <h1>Enrol hosts</h1>
        <p class="muted">
          A token lets a host in once for each use. The host then makes its own key, which never leaves it,
          and pins the control plane's.
        </p>
      </div>
      {page.issued && <Commands issued={page.issued} origin={page.origin} />}
      <section class="card" aria-labelledby="enrol-title">
        <h2 id="enrol-title">{page.issued ? "Make another token" : "Make an enrolment token"}</h2>
        {csrf === undefined ? (
          <p class="muted">
            {deps.controlKey
              ? "Only administrators of your organisation make enrolment tokens."
              : "This node holds no control key: it only reads."}
          </p>
        ) : (
          <TokenForm csrf={csrf} formKey={key} wrong={page.wrong ?? false} />
        )}
      </section>
      {known && known.items.length > 0 && <Tokens tokens={known.items} now={deps.clock()} />}
    </Layout>
  );
}

const TokenForm = ({ csrf, formKey, wrong }: { csrf: string; formKey: string; wrong: boolean }) => (
  <ChangeForm look="filter" action="/enrol" hidden={{ csrf, key: formKey }}>
    <div class="field">
      <label for="uses">Hosts it lets in</label>
      <input id="uses" name="uses" type="number" min={1} max={USES_MAX} value="1" required />
    </div>
    <div class="field">
      <label for="days">Days it is valid</label>
      <input id="days" name="days" type="number" min={1} max={DAYS_MAX} value="1" required />
    </div>
    <button class="primary" type="submit">
      Make the token
    </button>
    {wrong && (
      <p class="strip critical" role="alert">
        <Icon name="critical" />
        No token was made: give 1 to {USES_MAX.toLocaleString("en")} hosts and 1 to {String(DAYS_MAX)} days.
      </p>
    )}
  </ChangeForm>
);

const SYSTEMS = [
  { name: "Linux and macOS", before: "sudo ", binary: "./lz-agent" },
  { name: "Windows, as administrator", before: "", binary: ".\\lz-agent.exe" },
];

const Commands = ({ issued, origin }: { issued: MadeToken; origin: string }) => (
  <section class="card" aria-labelledby="commands-title">
    <h2 id="commands-title">Run this on {issued.uses === 1 ? "the host" : "each host"}</h2>
    <p class="strip warning">
      <Icon name="warning" />
      <span>
        The token is shown this once. It lets in {plural(issued.uses, "host")} until{" "}
        <Moment at={issued.expiresAt} />.
      </span>
    </p>
    {SYSTEMS.map(({ name, before, binary }) => (
      <div>
        <h3>{name}</h3>
        <pre class="command">
          <code>
            {`${before}${binary} enroll --url ${origin} --token ${issued.token}\n${before}${binary} service install`}
          </code>
        </pre>
      </div>
    ))}
    <p class="muted small">
      The host appears under <a href="/assets">assets</a> as soon as it has enrolled, and its engines with the
      first heartbeat.
    </p>
  </section>
);

const STATUS: Record<EnrolmentTokenView["status"], { tone: Tone; icon: IconName; label: string }> = {
  valid: { tone: "ok", icon: "ok", label: "Valid" },
  "used-up": { tone: "quiet", icon: "ok", label: "Used up" },
  expired: { tone: "quiet", icon: "absent", label: "Expired" },
  revoked: { tone: "quiet", icon: "failed", label: "Revoked" },
};

const Tokens = ({ tokens, now }: { tokens: readonly EnrolmentTokenView[]; now: number }) => (
  <section class="card" aria-labelledby="tokens-title">
    <div class="card-head">
      <h2 id="tokens-title">Newest tokens</h2>
      <DownloadLinks list="enrolment-tokens" />
    </div>
    <ul class="rows">
      {tokens.map((token) => (
        <li>
          <div>
            <code>{token.tokenId}</code>
            <p class="muted small">
              by <bdi>{token.createdBy}</bdi> <Ago at={token.createdAt} now={now} />, valid until{" "}
              <Ago at={token.validUntil} now={now} />
            </p>
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
