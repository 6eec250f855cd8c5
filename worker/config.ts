import { z } from "zod";
import { TABLE_NAME } from "../shared/table/keys.ts";

const schema = z.object({
  /** `kid:<base64url>,…` as the edge has them; every one verifies. */
  LZ_QUEUE_KEYS: z.string().transform((text, context) => {
    const keys = new Map<string, Uint8Array>();
    for (const part of text.split(",")) {
      const [kid, secret] = part.trim().split(":");
      const bytes = Buffer.from(secret ?? "", "base64url");
      if (!kid || bytes.length < 32) {
        context.addIssue({ code: "custom", message: "expected kid:base64url-of-32-bytes, comma separated" });
        return z.NEVER;
      }
      keys.set(kid, bytes);
    }
    return keys as ReadonlyMap<string, Uint8Array>;
  }),
  LZ_TABLE: z.string().min(3).default(TABLE_NAME),
  LZ_RECEIVERS: z.coerce.number().int().min(1).max(64).default(2),
  SQS_QUEUE_URL: z.url(),
  SQS_DLQ_URL: z.url(),
  SQS_ENDPOINT: z.url().optional(),
  DYNAMODB_ENDPOINT: z.url().optional(),
  AWS_REGION: z.string().min(1),
});

export type WorkerConfig = z.infer<typeof schema>;

/** Reads the environment once. Throws one Error that names every problem, and no value. */
export function readConfig(environment: Record<string, string | undefined>): WorkerConfig {
  const parsed = schema.safeParse(environment);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`the worker cannot start, its environment is not complete:\n  ${problems.join("\n  ")}`);
}
