import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { agentSettings, type SettingName, VARIABLES } from "../agent/daemon/settings.ts";
import { edgeSettings } from "../edge/config.ts";
import { NEEDED_SETTINGS, NODE_ROLES } from "../edge/platform/node-role.ts";
import { workerSettings } from "../worker/config.ts";
import { markdownTable } from "./markdown-table.ts";

/** Path of the generated page, relative to the root of the repository. */
export const CONFIGURATION_PAGE = "docs/configuration.md";

const COMMAND = "bun tools/write-configuration.ts";

/** The members of a zod definition that this page shows. */
type Definition = {
  type: string;
  innerType?: z.ZodType;
  in?: z.ZodType;
  out?: z.ZodType;
  defaultValue?: unknown;
};
type Field = { isOptional: boolean; defaultValue?: unknown; inner: z.ZodType };

const definitionOf = (schema: z.ZodType): Definition => schema.def as unknown as Definition;

/** Removes the wrappers `optional` and `default` from a schema. */
function unwrap(schema: z.ZodType): Field {
  const { type, innerType, defaultValue } = definitionOf(schema);
  if (!innerType || !["optional", "default", "prefault"].includes(type))
    return { isOptional: false, inner: schema };
  const { inner } = unwrap(innerType);
  return { isOptional: true, inner, ...(type === "optional" ? {} : { defaultValue }) };
}

/**
 * Allowed values of a setting: the values of an enum, or minimum and maximum of a number. Empty for other
 * types, whose description names the allowed values.
 */
function allowed(schema: z.ZodType): string {
  const { type, out } = definitionOf(schema);
  if (type === "enum") return (schema as z.ZodEnum).options.map((value) => `\`${value}\``).join(", ");
  if (type === "number") {
    const { minValue, maxValue } = schema as z.ZodNumber;
    const min = minValue === null || minValue < -1e15 ? 0 : minValue;
    return `${min.toLocaleString("en")} to ${maxValue?.toLocaleString("en")}`;
  }
  if (type === "boolean") return "`true`, `false`";
  return type === "pipe" && out ? allowed(out) : "";
}

const shown = (value: unknown): string => {
  if (value === undefined) return "";
  if (typeof value === "number") return value.toLocaleString("en");
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
};

function settingsTable(shape: Record<string, z.ZodType>, neededBy: (name: string) => string): string {
  const rows = Object.entries(shape).map(([name, schema]) => {
    const { isOptional, defaultValue, inner } = unwrap(schema);
    if (!schema.description)
      throw new Error(`${name} has no description: add .describe("…") to it in its schema`);
    const needed = isOptional ? neededBy(name) : "yes";
    return [`\`${name}\``, needed, shown(defaultValue), allowed(inner), schema.description];
  });
  return markdownTable([["Variable", "Required", "Default", "Values", "Meaning"], ...rows]);
}

function rolesThatNeed(name: string): string {
  const roles = NODE_ROLES.filter((role) => (NEEDED_SETTINGS[role] as readonly string[]).includes(name));
  return roles.map((role) => `\`${role}\``).join(", ");
}

function agentTable(): string {
  const rows = Object.entries(agentSettings.shape as Record<string, z.ZodType>).map(([name, schema]) => {
    if (!schema.description)
      throw new Error(`${name} has no description: add .describe("…") to it in its schema`);
    return [
      `\`--${name}\``,
      `\`${VARIABLES[name as SettingName]}\``,
      allowed(unwrap(schema).inner),
      schema.description,
    ];
  });
  return markdownTable([["Flag", "Variable", "Values", "Meaning"], ...rows]);
}

/** Variables of the command line and the local stack, which have no schema. */
const LOCAL: [string[], ...string[][]] = [
  ["Variable", "Used by", "Meaning"],
  ["`LZ_URL`", "`lz`", "Origin of the edge."],
  ["`LZ_TOKEN`", "`lz`", "Secret. Bearer token for the admin API."],
  ["`LZ_TENANT`", "`lz doctor`", "Tenant to check."],
  ["`LZ_PORT`", "`bun run start`, `lz doctor`", "Port of the local edge, default 8787."],
  [
    "`LZ_EDGE_RUNTIME`",
    "`bun run start`",
    "Runtime of the local edge: `deno` (default), `workerd` or `bun`.",
  ],
  ["`LZ_LOCAL_DIR`", "`bun run start`, `lz`", "Folder with the data of the local stack, default `.local`."],
];

/** The text of docs/configuration.md. */
export const configurationPage = (): string => `# Configuration

This page is generated from the schemas in \`edge/config.ts\`, \`edge/credentials/settings.ts\`, \`worker/config.ts\` and
\`agent/daemon/settings.ts\`. To change it, change a description there and run \`${COMMAND}\`.

Edge and worker read their environment once, at the start. They do not start with a wrong value: the error lists
every problem, but no values. Secrets have no default.

## Edge

The column _Required_ lists the values of \`LZ_ROLE\` that need the setting. _yes_ means every role. [Roles](edge.md#roles)
explains which node must hold which secret.

${settingsTable(edgeSettings.shape, rolesThatNeed)}

The edge reads AWS credentials from the first source that is configured: [AWS credentials](edge.md#aws-credentials).

Under Bun and Deno, \`HOST\` (default \`127.0.0.1\`) and \`PORT\` (default 8787; 0 picks a free port) set the address on
which the edge listens.

## Worker

${settingsTable(workerSettings.shape, () => "")}

The worker finds AWS credentials as the AWS SDK for JavaScript does.

## Telemetry of edge and worker

Edge and worker export traces and metrics by OpenTelemetry when \`OTEL_EXPORTER_OTLP_ENDPOINT\` is set. Under Deno, also set
\`OTEL_DENO=true\`. Under Bun, \`OTEL_TRACES_SAMPLER_ARG\` is the share of traces to keep, 0 to 1 (default 0.01), and
\`OTEL_METRIC_EXPORT_INTERVAL\` is in milliseconds (default 60,000). The exporters read the other standard variables
themselves.

## Agent

A flag overrides a variable, a variable overrides the configuration file, and the file overrides the default. In the file, a
setting has the name of its flag without the dashes in front. \`--config\` or \`LZ_CONFIG\` names the file. [The agent on a
host](agent.md#settings) has the paths of each platform.

${agentTable()}

## Command line and local stack

${markdownTable(LOCAL)}
`;

if (import.meta.main) writeFileSync(join(import.meta.dir, "..", CONFIGURATION_PAGE), configurationPage());
