import { z } from "zod";
import { separateSecrets } from "../shared/node-secrets.ts";
import { TABLE_NAME } from "../shared/table/keys.ts";
import { integerText } from "../shared/wire/integer.ts";

/** A JWKS of Ed25519 keys (RFC 8037) as JSON. */
const publicKeys = z.string().transform((text, context) => {
  const key = z.object({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    kid: z.string().min(1),
    x: z.string(),
  });
  try {
    return z.object({ keys: z.array(key).max(8) }).parse(JSON.parse(text));
  } catch {
    context.addIssue({ code: "custom", message: "expected a JWKS of Ed25519 keys, as `lz keys` prints it" });
    return z.NEVER;
  }
});

const schema = z
  .object({
    /** `kid:<base64url>,…` as the edge has them; every one verifies. */
    LZ_QUEUE_KEYS: z.string().transform((text, context) => {
      const keys = new Map<string, Uint8Array>();
      for (const part of text.split(",")) {
        const [kid, secret] = part.trim().split(":");
        const bytes = Buffer.from(secret ?? "", "base64url");
        if (!kid || bytes.length < 32) {
          context.addIssue({
            code: "custom",
            message: "expected kid:base64url-of-32-bytes, comma separated",
          });
          return z.NEVER;
        }
        keys.set(kid, bytes);
      }
      return keys as ReadonlyMap<string, Uint8Array>;
    }),
    /** Public control keys: the worker verifies settings, policy and assets with them. */
    LZ_CONTROL_JWKS: publicKeys,
    /** Public enrol keys, which vouch for new devices. */
    LZ_ENROL_JWKS: publicKeys.default({ keys: [] }),
    /** `observe`: items without a valid signature count and are logged; for the upgrade of a table. */
    LZ_AUTHORITY: z.enum(["enforce", "observe"]).default("enforce"),
    /** `allow`: the worker starts although its environment holds secrets of the edge. It loads none of them. */
    LZ_EXTRA_SECRETS: z.enum(["refuse", "allow"]).default("refuse"),
    LZ_TABLE: z.string().min(3).default(TABLE_NAME),
    LZ_RECEIVERS: integerText(1, 64).default(2),
    /** Messages that may be received and not settled, over all receivers. */
    LZ_IN_FLIGHT_MESSAGES: integerText(10, 100_000).default(400),
    LZ_IN_FLIGHT_BYTES: integerText(2 ** 20, 2 ** 32).default(64 * 2 ** 20),
    /** For how long a message in work is hidden at a time, extended while the work lasts; as the queue has it. */
    LZ_VISIBILITY_SECONDS: integerText(1, 3600).default(60),
    /** Without any progress for this long the worker ends with code 70, so that it is started again. */
    LZ_STALL_SECONDS: integerText(40, 3600).default(120),
    /** From SIGTERM on: receiving ends at once, what was received is finished within this time. */
    LZ_STOP_SECONDS: integerText(1, 600).default(25),
    /** Serves `/metrics` (Prometheus) and `/healthz`; off when absent. */
    LZ_METRICS_PORT: integerText(0, 65535).optional(),
    LZ_METRICS_HOST: z.string().min(1).default("127.0.0.1"),
    /** OpenAI-compatible endpoint (ends in `/v1`) for adjudication; off when absent. */
    LZ_AI_BASE_URL: z.url({ protocol: /^https?$/ }).optional(),
    LZ_AI_MODEL: z.string().min(1).max(120).optional(),
    LZ_AI_API_KEY: z.string().min(1).optional(),
    LZ_AI_TIMEOUT_MS: integerText(100, 60_000).default(8000),
    LZ_AI_CONCURRENCY: integerText(1, 64).default(4),
    /** Questions a day and worker, over all tenants. */
    LZ_AI_DAILY_QUESTIONS: integerText(0, 1_000_000).default(500),
    /** Lets webhooks go to private and loopback addresses, and over http: for development. */
    LZ_WEBHOOK_PRIVATE: z.enum(["true", "false"]).default("false"),
    SQS_QUEUE_URL: z.url(),
    SQS_DLQ_URL: z.url(),
    SQS_ENDPOINT: z.url().optional(),
    DYNAMODB_ENDPOINT: z.url().optional(),
    AWS_REGION: z.string().min(1),
  })
  .refine((read) => (read.LZ_AI_BASE_URL === undefined) === (read.LZ_AI_MODEL === undefined), {
    path: ["LZ_AI_MODEL"],
    message: "LZ_AI_BASE_URL and LZ_AI_MODEL belong together",
  });

export type WorkerConfig = z.infer<typeof schema>;

/** Reads the environment once. Throws one Error that names every problem, and no value. */
export function readConfig(environment: Record<string, string | undefined>): WorkerConfig {
  const { own, problems: surplus } = separateSecrets("worker", environment);
  const parsed = schema.safeParse(own);
  if (parsed.success && surplus.length === 0) return parsed.data;
  const found = (parsed.error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  const problems = [...found, ...surplus];
  throw new Error(`the worker cannot start with this environment:\n  ${problems.join("\n  ")}`);
}
