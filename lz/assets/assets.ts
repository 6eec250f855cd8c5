import { z } from "zod";
import { assetId } from "../../shared/ids.ts";
import { type Api, createApi } from "../platform/api.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { Failure } from "../platform/faults.ts";
import { count, table } from "../platform/text-table.ts";
import { filterQuery } from "./asset-filter.ts";

/** What is shown of an asset; the rest of the API's answer passes through to `--json`. */
export const assetView = z.looseObject({
  assetId,
  hostname: z.string(),
  employeeId: z.string(),
  status: z.string(),
  os: z.string().optional(),
  enrolledAt: z.string().optional(),
  revokedAt: z.string().optional(),
  /** Absent: an edge from before there was an active list. */
  lifecycle: z.looseObject({ state: z.string(), reason: z.string().optional() }).optional(),
  containment: z.looseObject({ state: z.string(), offline: z.boolean(), mode: z.string().optional() }),
  presence: z
    .looseObject({
      lastSeenAt: z.string(),
      risk: z.string(),
      engines: z.array(z.looseObject({ name: z.string() })),
    })
    .optional(),
});
export type AssetView = z.infer<typeof assetView>;

export const containmentText = ({ containment }: AssetView): string =>
  [containment.state, ...(containment.offline ? ["offline"] : [])].join(", ");

const HEAD = ["ASSET", "HOST", "EMPLOYEE", "CONTAINMENT", "RISK", "ENGINES", "LAST SEEN", "LIST"];

const isExpired = ({ lifecycle }: AssetView): boolean => lifecycle?.state === "expired";

/** Lines of a table of assets, header first. */
export const assetTable = (assets: readonly AssetView[]): string[] =>
  table(
    HEAD,
    assets.map((asset) => [
      asset.assetId,
      asset.hostname,
      asset.employeeId,
      containmentText(asset),
      asset.presence?.risk ?? "",
      [...new Set(asset.presence?.engines.map(({ name }) => name))].join(", "),
      asset.presence?.lastSeenAt ?? "never",
      isExpired(asset) ? (asset.lifecycle?.reason ?? "expired") : "active",
    ]),
  );

export const run: Verb = async (args, deps) => {
  const api = createApi(connectionOf(args, deps), deps);
  const query = filterQuery(args);
  let leftOut = 0;
  const assets = await api.list(`/v1/assets${query}`, assetView, args.integers.limit!, (page) => {
    leftOut += page.expiredLeftOut ?? 0;
  });
  const said = leftOut === 0 ? "" : `; ${leftOut} expired left out (--lifecycle all lists them)`;
  return { json: assets, lines: [...assetTable(assets), "", `${count(assets.length, "asset")}${said}`] };
};

export const SEARCHED_MAX = 100_000;

/**
 * Id of the asset that is meant: an id as it stands, or a host name that only one asset has. A host that was enrolled again
 * has several assets of one name, so one on the active list goes before those that left it.
 */
export async function findAsset(api: Api, named: string): Promise<string> {
  const id = assetId.safeParse(named.toUpperCase());
  if (id.success) return id.data;
  const all = await api.list("/v1/assets?lifecycle=all", assetView, SEARCHED_MAX);
  return idOf(named, all);
}

/** The same, among these assets. */
export function idOf(named: string, all: readonly AssetView[]): string {
  const everywhere = all.filter(({ hostname }) => hostname === named);
  const active = everywhere.filter((asset) => !isExpired(asset));
  const found = active.length > 0 ? active : everywhere;
  const [only, ...others] = found;
  if (!only) throw new Failure(`there is no asset with the id or host name ${JSON.stringify(named)}`);
  if (others.length === 0) return only.assetId;
  const ids = found.slice(0, 3).map((asset) => asset.assetId);
  throw new Failure(
    `${found.length} assets have that host name: give the id of one (${ids.join(", ")}${found.length > 3 ? ", …" : ""})`,
  );
}
