import { z } from "zod";
import { slug } from "../../shared/ids.ts";
import { ENGINE_KINDS } from "../../shared/wire/heartbeat.ts";

/*
 * Schema of a catalogue entry. An entry contains everything that the agent knows about one product. Entries
 * are plain JSON data, so the control plane can serve a newer catalogue to older agents. Regular expressions
 * are strings and ignore case.
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

/**
 * Condition for JSON values. The path of the values is `a.b`, `a[].b` (any element of `a`), or `[]` for an
 * array at the root.
 */
const condition = z.union([
  z.strictObject({ matches: pattern }),
  z.strictObject({ is: z.enum(["array", "object", "string", "number", "boolean", "present", "absent"]) }),
]);

const look = {
  headers: z.record(z.string().regex(/^[a-z0-9-]+$/), pattern).optional(),
  /** Pattern for the body text. If the body was truncated, the pattern is matched against the available text. */
  body: pattern.optional(),
  json: z.record(z.string(), condition).optional(),
};

/**
 * A trait that identifies a product by a response. All conditions must be met, and no condition in `unless`
 * may be met.
 */
const trait = z.strictObject({
  path,
  /** Default: `[200]`. An error response (401, 403) also identifies a product if only this product uses its text. */
  statuses: z.array(z.int().min(100).max(599)).min(1).optional(),
  ...look,
  unless: z.strictObject(look).optional(),
  /**
   * `identity`: the response names the product. `strong`: no other product returns such a response. `hint`:
   * other products also return such responses.
   */
  weight: z.enum(["identity", "strong", "hint"]),
  says: z.string().min(1).max(160),
});

/**
 * Response in which a product lists its models. `each` is the path of the model objects. All other paths are
 * relative to a model object.
 */
const modelList = z.strictObject({
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
  /**
   * Whether listed models are in memory. Either one value for all models, or a condition on a field of each
   * model.
   */
  loaded: z.union([z.boolean(), z.strictObject({ at: z.string(), matches: pattern })]),
});

const answer = z.strictObject({
  status: z.int().default(200),
  headers: z.record(z.string(), z.string()).default({}),
  /** Objects and arrays are serialised to JSON. */
  body: z.union([z.string(), z.record(z.string(), z.unknown()), z.array(z.unknown())]).default(""),
});

/** Recorded or documented responses or processes, with their source. For any other path, the fixture returns 404. */
const fixture = z.strictObject({
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
  /** Default ports. An open default port is weak evidence. */
  ports: z.array(z.int().min(1).max(65535)),
  /** Base names of the executable in lower case, without `.exe`. `*` matches any text. */
  names: z.array(z.string().regex(/^[a-z0-9 :._*+-]+$/)),
  /**
   * Languages whose interpreters can run the product. If a process of the product has the usual name of such
   * an interpreter, the process is not reported as renamed.
   */
  runsOn: z.array(z.enum(["python", "node", "java", "dotnet", "ruby"])).optional(),
  /** Patterns for the path of the executable. The path uses forward slashes on all platforms. */
  binaries: z.array(pattern).optional(),
  /** Patterns for the command line, with arguments joined by spaces. The command line does not leave the host. */
  commands: z.array(pattern).optional(),
  /** Patterns for the paths of loaded libraries. The paths use forward slashes on all platforms. */
  libraries: z.array(pattern).optional(),
  traits: z.array(trait),
  version: z.array(z.strictObject({ path, at: z.string(), matches: pattern.optional() })).optional(),
  models: z.array(modelList).optional(),
  /** True if the product serves the OpenAI API. An OpenAI model list is then evidence for the product. */
  openai: z.boolean().optional(),
  /**
   * Ids of products whose responses this product imitates. If an imitated product also fits, only the
   * imitating product is reported.
   */
  impersonates: z.array(slug).optional(),
  /** Ids of products that this product can start. Processes that it started are reported as part of this product. */
  absorbs: z.array(slug).optional(),
  /** Directories with models on disk. `~` stands for the home directory of each user. */
  directories: z
    .array(z.strictObject({ path: z.string().min(1), layout: z.enum(["ollama", "huggingface", "files"]) }))
    .optional(),
  sources: z.array(z.string().min(1)).min(1),
  fixtures: z.strictObject({
    positive: z.array(fixture).min(1),
    /** Similar responses or processes of other programs. They must not be reported as this product. */
    negative: z.array(fixture).min(1),
  }),
});

export type CatalogEntry = z.input<typeof catalogEntry>;
export type Trait = z.input<typeof trait>;
export type ModelList = z.input<typeof modelList>;
export type Condition = z.input<typeof condition>;
export type Fixture = z.input<typeof fixture>;
