import { z } from "zod";
import { separateSecrets } from "../shared/node-secrets.ts";
import { TABLE_NAME } from "../shared/table/keys.ts";
import { integerText } from "../shared/wire/integer.ts";

/** A JSON text that contains a JWKS of Ed25519 keys (RFC 8037). */
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
    context.addIssue({
      code: "custom",
      message: "expected a JWKS of Ed25519 keys. Use the output of `lz keys`.",
    });
    return z.NEVER;
  }
});

/**
 * Settings of a worker. `bun tools/write-configuration.ts` generates `docs/configuration.md` from their
 * descriptions.
 */
export const workerSettings = z.object({
  LZ_QUEUE_KEYS: z
    .string()
    .transform((text, context) => {
      const keys = new Map<string, Uint8Array>();
      for (const part of text.split(",")) {
        const [kid, secret] = part.trim().split(":");
        const bytes = Buffer.from(secret ?? "", "base64url");
        if (!kid || bytes.length < 32) {
          context.addIssue({
            code: "custom",
            message: "expected kid:<base64url of at least 32 bytes>, separated by commas",
          });
          return z.NEVER;
        }
        keys.set(kid, bytes);
      }
      return keys as ReadonlyMap<string, Uint8Array>;
    })
    .describe(
      "Secret. Queue keys as `kid:base64url` of at least 32 bytes, separated by commas, with the same values as on the edge. Each key verifies queue messages.",
    ),
  LZ_CONTROL_JWKS: publicKeys.describe(
    "Public control keys as a JWKS. The worker verifies settings, policies and assets with these keys.",
  ),
  LZ_ENROL_JWKS: publicKeys
    .default({ keys: [] })
    .describe("Public enrol keys as a JWKS. The worker verifies the records of new devices with these keys."),
  LZ_AUTHORITY: z
    .enum(["enforce", "observe"])
    .default("enforce")
    .describe(
      "`enforce`: ignore stored items without a valid signature. `observe`: accept and log them, until `lz table sign` has run.",
    ),
  LZ_EXTRA_SECRETS: z
    .enum(["refuse", "allow"])
    .default("refuse")
    .describe(
      "`refuse`: do not start while the environment holds secrets of the edge. `allow`: start and ignore them.",
    ),
  LZ_TABLE: z.string().min(3).default(TABLE_NAME).describe("Name of the DynamoDB table."),
  LZ_RECEIVERS: integerText(1, 64)
    .default(2)
    .describe("Number of receive loops that poll the queue in parallel."),
  LZ_IN_FLIGHT_MESSAGES: integerText(10, 100_000)
    .default(400)
    .describe(
      "In-flight limit: maximum number of messages that are received and not settled, over all receive loops.",
    ),
  LZ_IN_FLIGHT_BYTES: integerText(2 ** 20, 2 ** 32)
    .default(64 * 2 ** 20)
    .describe("In-flight limit in bytes. A compressed message counts as ten times its size."),
  LZ_VISIBILITY_SECONDS: integerText(1, 3600)
    .default(60)
    .describe(
      "Visibility timeout of a received message in seconds. The worker extends it while it processes the message. Use the same value as for the queue.",
    ),
  LZ_STALL_SECONDS: integerText(40, 3600)
    .default(120)
    .describe(
      "Timeout of the watchdog in seconds. After this time without progress, the worker exits with code 70, so that its supervisor restarts it.",
    ),
  LZ_STOP_SECONDS: integerText(1, 600)
    .default(25)
    .describe(
      "Timeout of the graceful shutdown in seconds. After SIGTERM, receiving stops immediately, and received messages are finished within this time.",
    ),
  LZ_METRICS_PORT: integerText(0, 65535)
    .optional()
    .describe("Port of `/metrics` (Prometheus) and `/healthz`. Without a port, both are off."),
  LZ_METRICS_HOST: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address on which the metrics server listens."),
  LZ_AI_BASE_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      "URL of an OpenAI-compatible endpoint for LLM reviews. It ends in `/v1`. Without this URL, there are no LLM reviews.",
    ),
  LZ_AI_MODEL: z
    .string()
    .min(1)
    .max(120)
    .optional()
    .describe("Model for LLM reviews. Set it together with `LZ_AI_BASE_URL`."),
  LZ_AI_API_KEY: z.string().min(1).optional().describe("Secret. API key of the endpoint for LLM reviews."),
  LZ_AI_TIMEOUT_MS: integerText(100, 60_000)
    .default(8000)
    .describe("Timeout of one LLM review in milliseconds."),
  LZ_AI_CONCURRENCY: integerText(1, 64).default(4).describe("Maximum number of concurrent LLM reviews."),
  LZ_AI_DAILY_QUESTIONS: integerText(0, 1_000_000)
    .default(500)
    .describe("Maximum number of LLM reviews of this worker per day, over all tenants."),
  LZ_WEBHOOK_PRIVATE: z
    .enum(["true", "false"])
    .default("false")
    .describe(
      "`true` allows webhooks over http, and to private or loopback addresses. For development only.",
    ),
  SQS_QUEUE_URL: z.url().describe("URL of the queue, an output of the CloudFormation stack."),
  SQS_DLQ_URL: z.url().describe("URL of the dead-letter queue, an output of the CloudFormation stack."),
  SQS_ENDPOINT: z.url().optional().describe("Endpoint of an SQS outside AWS, for example a local one."),
  DYNAMODB_ENDPOINT: z
    .url()
    .optional()
    .describe("Endpoint of a DynamoDB outside AWS, for example a local one."),
  AWS_REGION: z.string().min(1).describe("AWS region of the table and the queue."),
});

const schema = workerSettings.refine(
  (read) => (read.LZ_AI_BASE_URL === undefined) === (read.LZ_AI_MODEL === undefined),
  {
    path: ["LZ_AI_MODEL"],
    message: "Set both LZ_AI_BASE_URL and LZ_AI_MODEL, or neither.",
  },
);

export type WorkerConfig = z.infer<typeof workerSettings>;

/** Reads the environment once. Throws one Error that lists every problem and contains no values. */
export function readConfig(environment: Record<string, string | undefined>): WorkerConfig {
  const { own, problems: surplus } = separateSecrets("worker", environment);
  const parsed = schema.safeParse(own);
  if (parsed.success && surplus.length === 0) return parsed.data;
  const found = (parsed.error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  const problems = [...found, ...surplus];
  throw new Error(`The worker cannot start. Fix these environment variables:\n  ${problems.join("\n  ")}`);
}
