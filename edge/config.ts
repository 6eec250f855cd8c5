import { z } from "zod";
import { fromBase64url } from "../shared/encoding/bytes.ts";
import { separateSecrets } from "../shared/node-secrets.ts";
import { TABLE_NAME } from "../shared/table/keys.ts";
import { integerText } from "../shared/wire/integer.ts";
import { ROLE_MAP_DEFAULT, ROLES } from "./auth/permissions.ts";
import { credentialSettings } from "./credentials/settings.ts";
import { publicOrigin } from "./http/public-origin.ts";
import { NEEDED_SETTINGS, NODE_ROLES } from "./platform/node-role.ts";

/** `v2:<base64url>,v1:<base64url>`: the first signs, all verify, so that a secret can be rotated. */
const versionedSecrets = z.string().transform((text, context) => {
  const secrets = text.split(",").map((part) => {
    const [version, secret] = part.trim().split(":");
    return { version: version ?? "", bytes: fromBase64url(secret ?? "") };
  });
  const good = secrets.every(
    ({ version, bytes }) => /^[a-z0-9]{1,16}$/.test(version) && bytes && bytes.length >= 32,
  );
  if (!good) {
    context.addIssue({ code: "custom", message: "expected version:base64url-of-32-bytes, comma separated" });
    return z.NEVER;
  }
  // A session of the first would be verified with the last.
  if (new Set(secrets.map(({ version }) => version)).size < secrets.length) {
    context.addIssue({ code: "custom", message: "a version stands there twice" });
    return z.NEVER;
  }
  return secrets as { version: string; bytes: Uint8Array<ArrayBuffer> }[];
});

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: "custom", message: "expected JSON" });
    return z.NEVER;
  }
});

const okpPublic = { kty: z.literal("OKP"), crv: z.literal("Ed25519"), kid: z.string().min(1), x: z.string() };

const list = z.string().transform((text) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);

const perWindow = integerText(1, 10_000_000);

const schema = z.object({
  /**
   * What this node serves: `ingest` (heartbeats, sessions, polls, catalogue), `enrol` (new devices), `admin` (API and
   * dashboard; enrolments too), or `all`. Settings that are optional here may be needed by a role: `NEEDED_SETTINGS`.
   */
  LZ_ROLE: z.enum(NODE_ROLES).default("all"),
  /** `allow`: a node with a role starts although its environment holds secrets of other roles. It loads none of them. */
  LZ_EXTRA_SECRETS: z.enum(["refuse", "allow"]).default("refuse"),
  /** On an admin node the key of form tokens and cursors only: give it a value that no ingest node has. */
  LZ_EDGE_SECRETS: versionedSecrets.optional(),
  LZ_QUEUE_KEYS: versionedSecrets.optional(),
  /** Public control keys, as the agents pin them. */
  LZ_CONTROL_JWKS: json.pipe(z.object({ keys: z.array(z.object(okpPublic)).min(1).max(8) })),
  /** Signed key set while a control key is being rotated: handed to every agent with its next session. */
  LZ_CONTROL_KEY_SET: z
    .string()
    .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/)
    .max(8192)
    .optional(),
  /** Private control key. Without it this node ingests and reads; it cannot isolate, release or enrol others. */
  LZ_CONTROL_KEY: json.pipe(z.object({ ...okpPublic, d: z.string() })).optional(),
  /**
   * Private enrol key: signs the records of new devices and nothing else, so an enrol node needs no control key.
   * Without it, a node that holds the control key signs them with that.
   */
  LZ_ENROL_KEY: json.pipe(z.object({ ...okpPublic, d: z.string() })).optional(),
  /** Public enrol keys: every node that reads devices verifies with them. */
  LZ_ENROL_JWKS: json.pipe(z.object({ keys: z.array(z.object(okpPublic)).max(8) })).default({ keys: [] }),
  /**
   * `enforce`: items without a valid signature do not count. `observe`: they count and are logged as security events;
   * for the upgrade of a table until `lz table sign` has run.
   */
  LZ_AUTHORITY: z.enum(["enforce", "observe"]).default("enforce"),
  /** Where the signed catalogue lies (`lz catalog sign` makes it); without it agents keep the one they came with. */
  LZ_CATALOGUE_URL: z.url().optional(),
  /**
   * Where the files of `bun run build:agent --all` lie, SHA256SUMS among them: the enrolment page makes commands of
   * it, so it holds nothing that a shell takes for more than text.
   */
  LZ_AGENT_DOWNLOAD_URL: z
    .url({ protocol: /^https?$/ })
    .regex(/^[A-Za-z0-9:/._~%@+[\]-]+$/, "has characters that a shell would not take as they are")
    .transform((url) => url.replace(/\/+$/, ""))
    .optional(),
  /**
   * Origin at which people and agents reach this site, `https://lz.example.com`. Cookies, the origin check of forms,
   * redirects, enrolment commands and the API's server URL follow it. No header of a request changes it.
   */
  LZ_PUBLIC_ORIGIN: publicOrigin.optional(),
  LZ_ADMIN_ISSUER: z.url().optional(),
  LZ_ADMIN_JWKS_URL: z.url().optional(),
  /** Origins the identity provider may have issued a session for (`azp`). */
  LZ_ADMIN_PARTIES: list.optional(),
  /** `optional` accepts sessions without `azp`; one that is there must be among the parties either way. */
  LZ_ADMIN_AZP: z.enum(["required", "optional"]).default("required"),
  /** Role by the provider's role (`admin`) or permission (`org:hosts:isolate`), as JSON. The highest one counts. */
  LZ_ADMIN_ROLES: json
    .pipe(z.record(z.string().min(1).max(200), z.enum(ROLES)))
    .default({ ...ROLE_MAP_DEFAULT }),
  /** Where a person signs in; `redirect_url` is appended. */
  LZ_SIGN_IN_URL: z.url().optional(),
  /** Of Clerk's Frontend API, `https://clerk.example.com/v1/client/handshake`: where a session is renewed. */
  LZ_HANDSHAKE_URL: z.url().optional(),
  /**
   * Header in which a proxy of ours names the client, `x-forwarded-for` or Cloudflare's `cf-connecting-ip`: its
   * last address is taken. Unset behind no proxy, for then anybody could write it.
   */
  LZ_CLIENT_IP_HEADER: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .optional(),
  /** Heartbeats of one device: at a beat every 5 s a full spool still drains at twenty times that. */
  LZ_DEVICE_PER_MINUTE: perWindow.default(240),
  LZ_TENANT_PER_SECOND: perWindow.default(50_000),
  /** Refused enrolments and sessions of one address, an IPv6 /64. Each cost a signature of Ed25519 or a read. */
  LZ_REFUSED_PER_MINUTE: perWindow.default(1200),
  /** Sessions of one asset: an agent opens one an hour, and one at each start. */
  LZ_SESSIONS_PER_MINUTE: perWindow.default(20),
  /** Enrolments with one token. */
  LZ_ENROLMENTS_PER_MINUTE: perWindow.default(1200),
  /** Copies of the catalogue to one address, an IPv6 /64; who has the newest already is not counted. */
  LZ_CATALOGUE_PER_MINUTE: perWindow.default(6000),
  /** Requests of one admin or API key to the admin API. */
  LZ_ADMIN_PER_MINUTE: perWindow.default(1200),
  /** How long the first heartbeat of a message waits for company: less is faster, more is cheaper. */
  LZ_PACK_WAIT_MS: integerText(0, 1000).default(5),
  /** Lets webhooks name private and loopback addresses, and http: for development. The worker has its own say. */
  LZ_WEBHOOK_PRIVATE: z.enum(["true", "false"]).default("false"),
  /** Agents that wait for a directive on this node at once, 15 KiB each; 0: none may, their heartbeats bring it. */
  LZ_HELD_POLLS_MAX: integerText(0, 1_000_000).default(10_000),
  /** From SIGTERM on: a node says for so long that it is not ready, and answers all the same, before it stops. */
  LZ_DRAIN_SECONDS: z
    .string()
    .regex(/^\d{1,3}(?:\.\d{1,3})?$/, "expected seconds, 0 to 300")
    .transform(Number)
    .pipe(z.number().max(300))
    .default(5),
  LZ_TABLE: z.string().min(3).default(TABLE_NAME),
  SQS_QUEUE_URL: z.url().optional(),
  DYNAMODB_ENDPOINT: z.url().optional(),
  AWS_REGION: z.string().min(1),
  ...credentialSettings,
});

export type EdgeConfig = z.infer<typeof schema>;

/** Reads the environment once per process. Throws one Error that names every problem, and no value. */
export function readConfig(environment: Record<string, string | undefined>): EdgeConfig {
  const role = schema.shape.LZ_ROLE.safeParse(environment.LZ_ROLE).data ?? "all";
  const secrets = role === "all" ? undefined : separateSecrets(role, environment);
  const own = secrets?.own ?? environment;
  const parsed = schema.safeParse(own);
  const problems = [
    ...(parsed.error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`),
    ...NEEDED_SETTINGS[role]
      .filter((name) => own[name] === undefined)
      .map((name) => `${name}: missing, a node with LZ_ROLE=${role} needs it`),
    ...(secrets?.problems ?? []),
    ...(parsed.success ? enrolKeyProblems(parsed.data) : []),
  ];
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new Error(`the edge cannot start with this environment:\n  ${problems.join("\n  ")}`);
}

/** Every node refuses a device whose record was signed with a key that is not among the public ones. */
function enrolKeyProblems({ LZ_ENROL_KEY: key, LZ_ENROL_JWKS: { keys } }: EdgeConfig): string[] {
  if (!key || keys.some(({ kid, x }) => kid === key.kid && x === key.x)) return [];
  return ["LZ_ENROL_JWKS: it does not hold the public half of LZ_ENROL_KEY"];
}
