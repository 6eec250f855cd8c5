import { z } from "zod";
import { slug } from "../../shared/ids.ts";
import { ENGINE_KINDS } from "../../shared/wire/heartbeat.ts";

/*
 * Schema of a catalogue entry: all that the agent knows about one product. Entries are plain JSON data, so the control plane
 * can serve a newer catalogue to older agents. Regular expressions are strings and ignore case.
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

/** Condition on JSON values. A path is `a.b`, `a[].b` (any element of `a`), or `[]` for an array at the root. */
const condition = z.union([
  z.strictObject({ matches: pattern }),
  z.strictObject({ is: z.enum(["array", "object", "string", "number", "boolean", "present", "absent"]) }),
]);

const look = {
  headers: z.record(z.string().regex(/^[a-z0-9-]+$/), pattern).optional(),
  /** Pattern for the body as text, as far as it was read. */
  body: pattern.optional(),
  json: z.record(z.string(), condition).optional(),
};

/** A response of a product. All conditions must hold, and none of `unless`. */
const trait = z.strictObject({
  path,
  /** Default: `[200]`. An error (401, 403) with a text that only this product uses also identifies it. */
  statuses: z.array(z.int().min(100).max(599)).min(1).optional(),
  ...look,
  unless: z.strictObject(look).optional(),
  /** `identity`: the product names itself. `strong`: no other product responds so. `hint`: other products do as well. */
  weight: z.enum(["identity", "strong", "hint"]),
  says: z.string().min(1).max(160),
});

/** Where a product lists its models. `each` is the path to the model objects; all other paths are within one object. */
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
  /** Whether listed models are in memory: for all of them, or by a field of each. */
  loaded: z.union([z.boolean(), z.strictObject({ at: z.string(), matches: pattern })]),
});

const answer = z.strictObject({
  status: z.int().default(200),
  headers: z.record(z.string(), z.string()).default({}),
  /** An object or array is serialised to JSON. */
  body: z.union([z.string(), z.record(z.string(), z.unknown()), z.array(z.unknown())]).default(""),
});

/** Recorded or documented responses or processes, with their source. Paths that are not listed return 404. */
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
  /** Default ports. They are weak evidence. */
  ports: z.array(z.int().min(1).max(65535)),
  /** Base names of the executable in lower case, without `.exe`. `*` matches any text. */
  names: z.array(z.string().regex(/^[a-z0-9 :._*+-]+$/)),
  /** Interpreters that run the product. A process with the name of one is not reported as renamed. */
  runsOn: z.array(z.enum(["python", "node", "java", "dotnet", "ruby"])).optional(),
  /** Patterns for the path of the executable, with forward slashes. */
  binaries: z.array(pattern).optional(),
  /** Patterns for the command line, its words joined by spaces. The command line does not leave the host. */
  commands: z.array(pattern).optional(),
  /** Patterns for paths of loaded libraries, with forward slashes. */
  libraries: z.array(pattern).optional(),
  traits: z.array(trait),
  version: z.array(z.strictObject({ path, at: z.string(), matches: pattern.optional() })).optional(),
  models: z.array(modelList).optional(),
  /** The product serves the OpenAI API, so an OpenAI model list is evidence for it. */
  openai: z.boolean().optional(),
  /** Products whose responses this product imitates. If both fit, this product is reported. */
  impersonates: z.array(slug).optional(),
  /** Child processes reported as part of this product. */
  absorbs: z.array(slug).optional(),
  /** Directories with models on disk. `~` is every home directory. */
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
