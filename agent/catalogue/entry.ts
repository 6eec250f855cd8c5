import { z } from "zod";
import { slug } from "../../shared/ids.ts";
import { ENGINE_KINDS } from "../../shared/wire/heartbeat.ts";

/*
 * What the agent knows of one product. Pure data: an entry survives JSON, so that a newer catalogue can be
 * served without a newer agent. Regular expressions are strings; those over names and paths ignore case.
 */

const pattern = z.string().min(1).refine(isRegex, "not a regular expression");
const path = z.string().regex(/^\/[\x21-\x7e]*$/);

function isRegex(source: string): boolean {
  try {
    new RegExp(source, "iu");
    return true;
  } catch {
    return false;
  }
}

/** Of a JSON value found by path: `a.b`, `a[].b` (some element), `[]` for a list at the root. */
const condition = z.union([
  z.strictObject({ matches: pattern }),
  z.strictObject({ is: z.enum(["array", "object", "string", "number", "boolean", "present", "absent"]) }),
]);

const look = {
  headers: z.record(z.string().regex(/^[a-z0-9-]+$/), pattern).optional(),
  /** Over the first bytes of the body as text. */
  body: pattern.optional(),
  json: z.record(z.string(), condition).optional(),
};

/** One thing a product answers. All of it must hold, and nothing of `unless`. */
export const trait = z.strictObject({
  path,
  /** Default `[200]`. A refusal (401, 403) that only this product words so is as good as an answer. */
  statuses: z.array(z.int().min(100).max(599)).min(1).optional(),
  ...look,
  unless: z.strictObject(look).optional(),
  /** `identity`: it names itself. `strong`: a combination of no other product. `hint`: fits, proves nothing. */
  weight: z.enum(["identity", "strong", "hint"]),
  says: z.string().min(1).max(160),
});

/** Where a product lists its models. `each` leads to the objects, the rest are paths within one of them. */
export const modelList = z.strictObject({
  path,
  each: z.string(),
  name: z.string(),
  digest: z.string().optional(),
  sizeBytes: z.string().optional(),
  architecture: z.string().optional(),
  parameters: z.string().optional(),
  quantisation: z.string().optional(),
  format: z.string().optional(),
  publisher: z.string().optional(),
  /** Whether being listed here means being in memory, or which field tells. */
  loaded: z.union([z.boolean(), z.strictObject({ at: z.string(), matches: pattern })]),
});

const answer = z.strictObject({
  status: z.int().default(200),
  headers: z.record(z.string(), z.string()).default({}),
  /** An object or array stands for its JSON. */
  body: z.union([z.string(), z.record(z.string(), z.unknown()), z.array(z.unknown())]).default(""),
});

/** Recorded or documented facts, and where they come from. What is not listed answers 404. */
export const fixture = z.strictObject({
  source: z.string().min(1),
  answers: z.record(path, answer).optional(),
  process: z
    .strictObject({
      executable: z.string().min(1),
      argv: z.array(z.string()).default([]),
      libraries: z.array(z.string()).default([]),
    })
    .optional(),
});

export const catalogEntry = z.strictObject({
  id: slug,
  name: z.string().min(1).max(80),
  kind: z.enum(ENGINE_KINDS),
  /** Default ports: they order the probing and add little. */
  ports: z.array(z.int().min(1).max(65535)),
  /** Base names of the executable, lower case, without `.exe`; `*` stands for anything. */
  names: z.array(z.string().regex(/^[a-z0-9 :._*+-]+$/)),
  /** Interpreters it runs on: their names say nothing about it and are no disguise. */
  runsOn: z.array(z.enum(["python", "node", "java", "dotnet", "ruby"])).optional(),
  /** Over the executable's path, with forward slashes. */
  binaries: z.array(pattern).optional(),
  /** Over the command line, words joined by a space. Read on the host only. */
  commands: z.array(pattern).optional(),
  /** Over paths of loaded libraries, with forward slashes. */
  libraries: z.array(pattern).optional(),
  traits: z.array(trait),
  version: z.array(z.strictObject({ path, at: z.string(), matches: pattern.optional() })).optional(),
  models: z.array(modelList).optional(),
  /** Serves the OpenAI API, so that shape is no contradiction. */
  openai: z.boolean().optional(),
  /** Products whose answers this one copies: where both fit, this one it is. */
  impersonates: z.array(slug).optional(),
  /** Child processes reported as part of this product. */
  absorbs: z.array(slug).optional(),
  /** Models at rest. `~` is each home directory. */
  directories: z
    .array(z.strictObject({ path: z.string().min(1), layout: z.enum(["ollama", "huggingface", "files"]) }))
    .optional(),
  sources: z.array(z.string().min(1)).min(1),
  fixtures: z.strictObject({
    positive: z.array(fixture).min(1),
    /** Answers that look alike and must not be taken for it. */
    negative: z.array(fixture).min(1),
  }),
});

export type CatalogEntry = z.input<typeof catalogEntry>;
export type Trait = z.input<typeof trait>;
export type ModelList = z.input<typeof modelList>;
export type Condition = z.input<typeof condition>;
export type Fixture = z.input<typeof fixture>;
