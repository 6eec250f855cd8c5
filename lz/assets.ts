import { z } from "zod";
import { assetId } from "../shared/ids.ts";
import { type Api, createApi } from "./api.ts";
import { connectionOf } from "./connect.ts";
import { Failure, type Verb } from "./deps.ts";
import { count, table } from "./table.ts";

/** What is shown of an asset; the rest of the API's answer passes through to `--json`. */
export const assetView = z.looseObject({
  assetId,
  hostname: z.string(),
  employeeId: z.string(),
  status: z.string(),
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

export const run: Verb = async (args, deps) => {
  const api = createApi(connectionOf(args, deps), deps);
  const assets = await api.list("/v1/assets", assetView, args.wholes.limit!);
  const rows = assets.map((asset) => [
    asset.assetId,
    asset.hostname,
    asset.employeeId,
    containmentText(asset),
    asset.presence?.risk ?? "",
    [...new Set(asset.presence?.engines.map(({ name }) => name))].join(", "),
    asset.presence?.lastSeenAt ?? "never",
  ]);
  const head = ["ASSET", "HOST", "EMPLOYEE", "CONTAINMENT", "RISK", "ENGINES", "LAST SEEN"];
  return { json: assets, lines: [...table(head, rows), "", count(assets.length, "asset")] };
};

const SEARCHED_MAX = 25_000;

/** Id of the asset that is meant: an id as it stands, or a host name that only one asset has. */
export async function findAsset(api: Api, named: string): Promise<string> {
  const id = assetId.safeParse(named.toUpperCase());
  if (id.success) return id.data;
  const found = (await api.list("/v1/assets?lifecycle=all", assetView, SEARCHED_MAX)).filter(
    ({ hostname }) => hostname === named,
  );
  const [only, ...others] = found;
  if (!only) throw new Failure(`there is no asset with the id or host name ${JSON.stringify(named)}`);
  if (others.length === 0) return only.assetId;
  const ids = found.slice(0, 3).map((asset) => asset.assetId);
  throw new Failure(
    `${found.length} assets have that host name: give the id of one (${ids.join(", ")}${found.length > 3 ? ", …" : ""})`,
  );
}
