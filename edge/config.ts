import { z } from "zod";
import { fromBase64url } from "../shared/encoding/bytes.ts";
import { separateSecrets } from "../shared/node-secrets.ts";
import { TABLE_NAME } from "../shared/table/keys.ts";
import { integerText } from "../shared/wire/integer.ts";
import { ROLE_MAP_DEFAULT, ROLES } from "./auth/permissions.ts";
import { credentialSettings } from "./credentials/settings.ts";
import { publicOrigin } from "./http/public-origin.ts";
import { NEEDED_SETTINGS, NODE_ROLES } from "./platform/node-role.ts";

/**
 * Secrets in the format `v2:<base64url>,v1:<base64url>`. The first secret signs, and all secrets verify. This
 * allows a secret to be rotated.
 */
const versionedSecrets = z.string().transform((text, context) => {
  const secrets = text.split(",").map((part) => {
    const [version, secret] = part.trim().split(":");
    return { version: version ?? "", bytes: fromBase64url(secret ?? "") };
  });
  const good = secrets.every(
    ({ version, bytes }) => /^[a-z0-9]{1,16}$/.test(version) && bytes && bytes.length >= 32,
  );
  if (!good) {
    context.addIssue({
      code: "custom",
      message: "expected version:base64url of 32 bytes or more, separated by commas",
    });
    return z.NEVER;
  }
  // Versions must be unique. Otherwise a session signed with the first of two secrets would be verified with
  // the second.
  if (new Set(secrets.map(({ version }) => version)).size < secrets.length) {
    context.addIssue({ code: "custom", message: "expected a different version for each secret" });
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

/**
 * Settings of an edge node. `bun tools/write-configuration.ts` generates `docs/configuration.md` from their
 * descriptions.
 */
export const edgeSettings = z.object({
  LZ_ROLE: z
    .enum(NODE_ROLES)
    .default("all")
    .describe(
      "Routes that this node serves. `ingest`: heartbeats, sessions, long polls and the catalogue. `enrol`: enrolments of new devices. `admin`: API, dashboard and all enrolments. `all`: all routes.",
    ),
  LZ_EXTRA_SECRETS: z
    .enum(["refuse", "allow"])
    .default("refuse")
    .describe(
      "Behaviour if the environment contains secrets of another role. `refuse`: the node does not start. `allow`: the node starts and ignores these secrets.",
    ),
  LZ_EDGE_SECRETS: versionedSecrets
    .optional()
    .describe(
      "Secret. One or more `version:base64url` of 32 bytes or more, separated by commas. New session keys are derived from the first secret. Sessions with a key from any of the secrets are accepted. An admin node uses them only for form tokens and cursors, so give it different secrets.",
    ),
  LZ_QUEUE_KEYS: versionedSecrets
    .optional()
    .describe(
      "Secret. One or more `kid:base64url` of 32 bytes or more, separated by commas. The first key signs queue messages.",
    ),
  LZ_CONTROL_JWKS: json
    .pipe(z.object({ keys: z.array(z.object(okpPublic)).min(1).max(8) }))
    .describe("Public control keys as a JWKS of 1 to 8 Ed25519 keys. Agents pin them at enrolment."),
  LZ_CONTROL_KEY_SET: z
    .string()
    .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/)
    .max(8192)
    .optional()
    .describe(
      "Signed key set (compact JWS). Set it only while you rotate a control key. Each agent receives it with its next session.",
    ),
  LZ_CONTROL_KEY: json
    .pipe(z.object({ ...okpPublic, d: z.string() }))
    .optional()
    .describe(
      "Secret. Private control key (JWK). It signs directives and grants. A node without it cannot isolate or release a host.",
    ),
  LZ_ENROL_KEY: json
    .pipe(z.object({ ...okpPublic, d: z.string() }))
    .optional()
    .describe(
      "Secret. Private enrol key (JWK). It only signs the records of new devices. A node without it signs them with the control key, if it has that key.",
    ),
  LZ_ENROL_JWKS: json
    .pipe(z.object({ keys: z.array(z.object(okpPublic)).max(8) }))
    .default({ keys: [] })
    .describe(
      "Public enrol keys as a JWKS. Every node that reads devices verifies their records with these keys.",
    ),
  LZ_AUTHORITY: z
    .enum(["enforce", "observe"])
    .default("enforce")
    .describe(
      "`enforce`: ignore stored items without a valid signature. `observe`: accept them and log a security event. Use `observe` only until you have run `lz table sign`.",
    ),
  LZ_CATALOGUE_URL: z
    .url()
    .optional()
    .describe(
      "URL of the file that `lz catalog sign` writes. Without it, agents use their built-in catalogue.",
    ),
  // The enrolment page puts this URL into shell commands, so the pattern excludes characters that a shell interprets.
  LZ_AGENT_DOWNLOAD_URL: z
    .url({ protocol: /^https?$/ })
    .regex(/^[A-Za-z0-9:/._~%@+[\]-]+$/, "expected a URL without characters that a shell interprets")
    .transform((url) => url.replace(/\/+$/, ""))
    .optional()
    .describe(
      "URL of the folder with the output of `bun run build:agent --all`, `SHA256SUMS` included. Enrolment commands download the agent from it.",
    ),
  LZ_PUBLIC_ORIGIN: publicOrigin
    .optional()
    .describe(
      "Origin at which people and agents reach this site, for example `https://lz.example.com`. The edge uses it for cookies, the origin check of forms, redirects and enrolment commands. Request headers cannot change it.",
    ),
  LZ_ADMIN_ISSUER: z
    .url()
    .optional()
    .describe("Issuer of admin sessions (`iss`), which is the URL of your Clerk application."),
  LZ_ADMIN_JWKS_URL: z.url().optional().describe("URL of the issuer's public keys."),
  LZ_ADMIN_PARTIES: list
    .optional()
    .describe("Origins for which sessions are accepted (`azp`), separated by commas."),
  LZ_ADMIN_AZP: z
    .enum(["required", "optional"])
    .default("required")
    .describe(
      "Whether a session needs the `azp` claim. `optional` also accepts sessions without it. If a session has the claim, it must name one of the origins in `LZ_ADMIN_PARTIES`.",
    ),
  LZ_ADMIN_ROLES: json
    .pipe(z.record(z.string().min(1).max(200), z.enum(ROLES)))
    .default({ ...ROLE_MAP_DEFAULT })
    .describe(
      "JSON object that maps the issuer's roles (`admin`) or permissions (`org:hosts:isolate`) to LifecycleZero roles. If several match, the highest role applies.",
    ),
  LZ_SIGN_IN_URL: z.url().optional().describe("URL of the sign-in page. The edge appends `redirect_url`."),
  LZ_HANDSHAKE_URL: z
    .url()
    .optional()
    .describe(
      "URL of the handshake endpoint of Clerk's Frontend API, for example `https://clerk.example.com/v1/client/handshake`. The edge uses it to renew sessions. Without it, the edge redirects people to the sign-in page.",
    ),
  LZ_CLIENT_IP_HEADER: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .optional()
    .describe(
      "Header in which your proxy sends the address of the client, for example `x-forwarded-for` or `cf-connecting-ip`. The edge reads the last address. If you have no proxy, leave it unset, because clients can forge the header.",
    ),
  LZ_DEVICE_PER_MINUTE: perWindow
    .default(240)
    .describe(
      "Maximum number of heartbeats per minute from one device. An agent that sends a heartbeat every 5 s uses a twentieth of the default. The rest lets an agent send a full spool.",
    ),
  LZ_TENANT_PER_SECOND: perWindow
    .default(50_000)
    .describe("Maximum number of heartbeats per second from one tenant."),
  LZ_REFUSED_PER_MINUTE: perWindow
    .default(1200)
    .describe(
      "Maximum number of rejected enrolments and sessions per minute from one address (IPv6: one /64).",
    ),
  LZ_SESSIONS_PER_MINUTE: perWindow
    .default(20)
    .describe(
      "Maximum number of new sessions per minute for one asset. An agent opens one session per hour and one at each start.",
    ),
  LZ_ENROLMENTS_PER_MINUTE: perWindow
    .default(1200)
    .describe("Maximum number of enrolments per minute with one token."),
  LZ_CATALOGUE_PER_MINUTE: perWindow
    .default(6000)
    .describe(
      "Maximum number of catalogue downloads per minute from one address (IPv6: one /64). Requests for an unchanged catalogue do not count.",
    ),
  LZ_ADMIN_PER_MINUTE: perWindow
    .default(1200)
    .describe("Maximum number of admin API requests per minute from one administrator or API key."),
  LZ_PACK_WAIT_MS: integerText(0, 1000)
    .default(5)
    .describe(
      "Milliseconds that the first heartbeat of a queue message waits for others. A larger value increases the latency and reduces the number of queue requests.",
    ),
  LZ_WEBHOOK_PRIVATE: z
    .enum(["true", "false"])
    .default("false")
    .describe(
      "`true` allows webhooks with http and with private or loopback addresses. For development only. Set it in the worker too.",
    ),
  LZ_HELD_POLLS_MAX: integerText(0, 1_000_000)
    .default(10_000)
    .describe(
      "Maximum number of long polls for directives that this node keeps open. Each needs 15 KiB of memory. 0 disables long polls, and agents receive directives with heartbeats.",
    ),
  LZ_DRAIN_SECONDS: z
    .string()
    .regex(/^\d{1,3}(?:\.\d{1,3})?$/, "expected seconds, 0 to 300")
    .transform(Number)
    .pipe(z.number().max(300))
    .default(5)
    .describe(
      "Graceful shutdown: number of seconds after SIGTERM during which the node reports that it is not ready and still serves requests.",
    ),
  LZ_TABLE: z.string().min(3).default(TABLE_NAME).describe("Name of the DynamoDB table."),
  SQS_QUEUE_URL: z.url().optional().describe("URL of the queue, an output of the CloudFormation stack."),
  DYNAMODB_ENDPOINT: z
    .url()
    .optional()
    .describe("Endpoint of a DynamoDB outside AWS, for example a local one."),
  AWS_REGION: z.string().min(1).describe("AWS region of the table and the queue."),
  ...credentialSettings,
});

export type EdgeConfig = z.infer<typeof edgeSettings>;

/** Validates the environment. Throws one Error that lists every problem and contains no values. */
export function readConfig(environment: Record<string, string | undefined>): EdgeConfig {
  const role = edgeSettings.shape.LZ_ROLE.safeParse(environment.LZ_ROLE).data ?? "all";
  const secrets = role === "all" ? undefined : separateSecrets(role, environment);
  const own = secrets?.own ?? environment;
  const parsed = edgeSettings.safeParse(own);
  const problems = [
    ...(parsed.error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`),
    ...NEEDED_SETTINGS[role]
      .filter((name) => own[name] === undefined)
      .map((name) => `${name}: missing; a node with LZ_ROLE=${role} needs it`),
    ...(secrets?.problems ?? []),
    ...(parsed.success ? enrolKeyProblems(parsed.data) : []),
  ];
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new Error(`the edge cannot start, fix these settings:\n  ${problems.join("\n  ")}`);
}

/**
 * Checks that the public half of the enrol key is configured. Without it, every node would refuse newly
 * enrolled devices.
 */
function enrolKeyProblems({ LZ_ENROL_KEY: key, LZ_ENROL_JWKS: { keys } }: EdgeConfig): string[] {
  if (!key || keys.some(({ kid, x }) => kid === key.kid && x === key.x)) return [];
  return ["LZ_ENROL_JWKS: add the public half of LZ_ENROL_KEY"];
}
