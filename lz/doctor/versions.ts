import { compareVersions } from "../../shared/policy/version.ts";
import { PRODUCT_VERSION } from "../../shared/product-version.ts";
import { marshalItem } from "../../shared/table/dynamo.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { fleetSummaryItem } from "../../shared/table/items/fleet.ts";
import { fleetSummaryKey } from "../../shared/table/keys.ts";
import type { OpenTable } from "../platform/open-table.ts";
import { bad, type Check, good, note } from "./check.ts";

/** Maximum number of agent versions that the check lists. */
const NAMED_MAX = 5;

/**
 * Versions that a worker last wrote to the table. `agents` lists agent versions, starting with those of the
 * most hosts.
 */
export type WorkerVersions = {
  worker?: string | undefined;
  agents: { version: string; hosts: number }[];
};

/**
 * Reads the versions. Undefined if no worker has counted the tenant's fleet, or if the table cannot be read.
 * Other checks report both cases.
 */
export async function readWorkerVersions(
  { dynamo, table }: Pick<OpenTable, "dynamo" | "table">,
  tenantId: string,
): Promise<WorkerVersions | undefined> {
  try {
    const Key = marshalItem(fleetSummaryKey(tenantId));
    const { Item } = await dynamo("GetItem", { TableName: table, Key });
    if (!Item) return undefined;
    const { workerVersion, counts } = decodeItem(fleetSummaryItem, Item);
    const agents = counts?.agentVersions.first.map(({ key, hosts }) => ({ version: key, hosts })) ?? [];
    return { worker: workerVersion, agents };
  } catch {
    return undefined;
  }
}

/**
 * Compares the versions of all parts. Workers must be updated first, then edges, then agents. A part that is
 * newer than an earlier one in this order can send data that the earlier one does not understand.
 *
 * @param edge version of the edge. Undefined if the edge sent no version, which is the case for edges before
 * 0.1.0.
 */
export function checkVersions(edge: string | undefined, told: WorkerVersions | undefined): Check {
  const agents = told?.agents ?? [];
  const newest = agents
    .map(({ version }) => version)
    .sort(byVersion)
    .at(-1);
  const parts = [
    ["worker", told?.worker],
    ["edge", edge],
    ["newest agent", newest],
  ] as const;
  const found = describe(edge, told);
  const known = parts.filter((part): part is readonly [(typeof part)[0], string] => part[1] !== undefined);
  for (const [at, [name, version]] of known.entries()) {
    const [before, older] = known.slice(0, at).find(([, earlier]) => byVersion(earlier, version) < 0) ?? [];
    if (before !== undefined)
      return bad(
        "versions",
        found,
        `update the ${before} (${older}): it is older than the ${name} (${version})`,
      );
  }
  const all = new Set([
    PRODUCT_VERSION,
    ...known.map(([, version]) => version),
    ...agents.map((a) => a.version),
  ]);
  if (all.size > 1)
    return note("versions", found, "update to one version: workers first, then edges, then agents");
  return known.length < parts.length ? note("versions", found) : good("versions", found);
}

/** Compares two versions for sorting. Versions that cannot be compared count as equal. */
const byVersion = (a: string, b: string): number => compareVersions(a, b) ?? 0;

function describe(edge: string | undefined, told: WorkerVersions | undefined): string {
  const agents = told?.agents ?? [];
  const named = agents.slice(0, NAMED_MAX).map(({ version, hosts }) => `${version} on ${hosts}`);
  const more = agents.length > NAMED_MAX ? `, and ${agents.length - NAMED_MAX} more versions` : "";
  const oldest = agents.map(({ version }) => version).sort(byVersion)[0];
  return [
    `lz ${PRODUCT_VERSION}`,
    `edge ${edge ?? "unknown"}`,
    `worker ${told?.worker ?? "unknown"}`,
    agents.length === 0 ? "agents unknown" : `agents ${named.join(", ")}${more} (oldest ${oldest})`,
  ].join("; ");
}
