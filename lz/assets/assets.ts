import { z } from "zod";
import { assetId } from "../../shared/ids.ts";
import { type Api, createApi } from "../platform/api.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { Failure } from "../platform/faults.ts";
import { count, table } from "../platform/text-table.ts";
import { filterQuery } from "./asset-filter.ts";

/** Members of an asset that the table shows. `--json` also prints all other members of the API's response. */
export const assetView = z.looseObject({
  assetId,
  hostname: z.string(),
  employeeId: z.string(),
  status: z.string(),
  os: z.string().optional(),
  enrolledAt: z.string().optional(),
  revokedAt: z.string().optional(),
  /** Absent in responses of an edge version that has no active list yet. */
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

/** Formats a table of assets as lines, with a header. */
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
  const hint = leftOut === 0 ? "" : `; ${leftOut} expired not shown (use --lifecycle all)`;
  return { json: assets, lines: [...assetTable(assets), "", `${count(assets.length, "asset")}${hint}`] };
};

export const SEARCHED_MAX = 100_000;

/**
 * Finds the id of an asset by its id or host name. The host name must be unique. Assets on the active list
 * take precedence, because a host that enrolled again has several assets with its name. Throws {@link
 * Failure} if no asset or several match.
 */
export async function findAsset(api: Api, named: string): Promise<string> {
  const id = assetId.safeParse(named.toUpperCase());
  if (id.success) return id.data;
  const all = await api.list("/v1/assets?lifecycle=all", assetView, SEARCHED_MAX);
  return idOf(named, all);
}

/** Like {@link findAsset}, for the host name of one of the given assets. */
export function idOf(named: string, all: readonly AssetView[]): string {
  const everywhere = all.filter(({ hostname }) => hostname === named);
  const active = everywhere.filter((asset) => !isExpired(asset));
  const found = active.length > 0 ? active : everywhere;
  const [only, ...others] = found;
  if (!only)
    throw new Failure(
      `no asset has the id or host name ${JSON.stringify(named)}: run lz assets to list the assets`,
    );
  if (others.length === 0) return only.assetId;
  const ids = found.slice(0, 3).map((asset) => asset.assetId);
  throw new Failure(
    `${found.length} assets have that host name: give one of their ids (${ids.join(", ")}${found.length > 3 ? ", …" : ""})`,
  );
}
