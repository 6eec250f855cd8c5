import { z } from "zod";
import { assetId } from "../../shared/ids.ts";
import { type Api, createApi } from "../platform/api.ts";
import type { Arguments } from "../platform/arguments.ts";
import { confirmed } from "../platform/confirm.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Deps, Outcome } from "../platform/deps.ts";
import { Failure, Misuse } from "../platform/faults.ts";
import { withRetries } from "../platform/retry.ts";
import { count } from "../platform/text-table.ts";
import { filterQuery, hasFilter, silentHours } from "./asset-filter.ts";
import { type AssetView, assetTable, assetView, idOf, SEARCHED_MAX } from "./assets.ts";

/** Maximum number of assets in one request of the API. A request is one transaction. */
const BATCH_ASSETS = 25;
/**
 * Number of consecutive failed requests after which the command stops trying, because the control plane is
 * probably unavailable.
 */
const FAILURES_MAX = 3;
/** Number of assets between two lines of progress. */
const PROGRESS_ASSETS = 500;

const retired = z.object({
  changed: z.array(z.string()),
  skipped: z.array(z.object({ assetId: z.string(), reason: z.string() })),
});

type Verb = "revoke" | "expire";
type Named = { assetId: string; reason: string };
type Result = { changed: string[]; skipped: Named[]; failed: Named[] };

const WORDS = {
  revoke: { done: "revoked", would: "would be revoked", question: "Revoke permanently" },
  expire: {
    done: "taken off the active list",
    would: "would be taken off the active list",
    question: "Take off the active list",
  },
} as const;

/**
 * Reasons for which the API leaves an asset unchanged and which do not count as failures. The asset was
 * already changed, or its host has reported in the meantime.
 */
const UNCHANGED: ReadonlySet<string> = new Set(["already", "reported"]);

const REASONS: Readonly<Record<string, string>> = {
  "not-found": "no asset has this id",
  "not-signed": "its signature is not valid: run lz doctor",
  contained: "it is isolated: release it first",
};

/**
 * Revokes or expires the named assets, or the assets that the filters select. Shows them, asks for
 * confirmation, and then sends one request after the other. Concurrent requests would conflict, because the
 * custody log accepts one transaction at a time. Assets that an earlier run changed are skipped, so an
 * interrupted command can be run again.
 */
export async function retireAssets(verb: Verb, args: Arguments, deps: Deps): Promise<Outcome> {
  const isNamed = args.operands.length > 0;
  if (isNamed === hasFilter(args))
    throw new Misuse(
      isNamed
        ? `${args.name}: give assets or filters, not both`
        : `${args.name}: give an ASSET, or select assets with --hostname, --os, --employee, --silent-for, --never-reported, --status or --lifecycle`,
    );
  const hours = silentHours(args);
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const send = withRetries(deps.fetch, { clock: deps.clock, pause, stop: deps.stop });
  const api = createApi(connectionOf(args, deps), { fetch: send });
  const assets = isNamed ? await namedAssets(api, args.operands) : await chosenAssets(api, verb, args);
  const { done, would, question } = WORDS[verb];
  const lines = [...assetTable(assets), ""];
  if (args.flags.has("dry-run"))
    return { json: assets, lines: [...lines, `${count(assets.length, "asset")} ${would}.`] };
  if (assets.length === 0) return { json: NOTHING, lines: ["No asset matches. Nothing was changed."] };
  for (const line of lines) deps.note(line);
  await confirmed(args, `${question}: ${count(assets.length, "asset")}?`, deps);
  const body = {
    justification: args.texts.reason,
    ...(hours !== undefined && { silentHours: hours }),
    ...(args.flags.has("even-if-contained") && { evenIfContained: true }),
  };
  const result = await changeAll(api, verb, assets, body, deps);
  return outcomeOf(result, assets, done);
}

const NOTHING: Result = { changed: [], skipped: [], failed: [] };

async function namedAssets(api: Api, names: readonly string[]): Promise<AssetView[]> {
  const ids = names.map((name) => assetId.safeParse(name.toUpperCase()));
  const isAllIds = ids.every(({ success }) => success);
  const all = isAllIds ? [] : await api.list("/v1/assets?lifecycle=all", assetView, SEARCHED_MAX);
  const wanted = new Set(ids.map(({ data }, index) => data ?? idOf(names[index]!, all)));
  const byId = new Map(all.map((asset) => [asset.assetId, asset]));
  const found: AssetView[] = [];
  for (const id of wanted) found.push(byId.get(id) ?? (await api.get(`/v1/assets/${id}`, assetView)));
  return found;
}

/** Assets that the filters select, without those that are already revoked or expired. */
async function chosenAssets(api: Api, verb: Verb, args: Arguments): Promise<AssetView[]> {
  const texts = { ...args.texts, lifecycle: args.texts.lifecycle ?? "all" };
  const found = await api.list(`/v1/assets${filterQuery({ ...args, texts })}`, assetView, SEARCHED_MAX);
  return found.filter(({ revokedAt, lifecycle }) =>
    verb === "revoke"
      ? revokedAt === undefined
      : lifecycle?.reason !== "removed" && lifecycle?.reason !== "superseded",
  );
}

async function changeAll(
  api: Api,
  verb: Verb,
  assets: readonly AssetView[],
  body: object,
  deps: Deps,
): Promise<Result> {
  const result: Result = { changed: [], skipped: [], failed: [] };
  let failures = 0;
  for (let from = 0; from < assets.length; from += BATCH_ASSETS) {
    const assetIds = assets.slice(from, from + BATCH_ASSETS).map((asset) => asset.assetId);
    const fail = (reason: string) => result.failed.push(...assetIds.map((id) => ({ assetId: id, reason })));
    if (deps.stop.aborted || failures === FAILURES_MAX) {
      fail(
        deps.stop.aborted ? "not tried: the command was interrupted" : "not tried: earlier requests failed",
      );
      continue;
    }
    try {
      const headers = { "idempotency-key": crypto.randomUUID() };
      const answer = await api.post(`/v1/assets/${verb}`, { assetIds, ...body }, retired, headers);
      failures = 0;
      result.changed.push(...answer.changed);
      for (const one of answer.skipped)
        (UNCHANGED.has(one.reason) ? result.skipped : result.failed).push(one);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failures++;
      fail(error.message);
    }
    const tried = from + assetIds.length;
    if (tried % PROGRESS_ASSETS === 0) deps.note(`${tried} of ${count(assets.length, "asset")}`);
  }
  return result;
}

function outcomeOf(result: Result, assets: readonly AssetView[], done: string): Outcome {
  const hostOf = new Map(assets.map((asset) => [asset.assetId, asset.hostname]));
  const { changed, skipped, failed } = result;
  const skippedFor = (reason: string) => skipped.filter((one) => one.reason === reason).length;
  const lines = [
    ...failed.map(
      ({ assetId: id, reason }) => `failed: ${hostOf.get(id) ?? ""} (${id}): ${REASONS[reason] ?? reason}`,
    ),
    [
      `${count(changed.length, "asset")} ${done}`,
      ...(skippedFor("already") > 0 ? [`${skippedFor("already")} skipped: changed by an earlier run`] : []),
      ...(skippedFor("reported") > 0
        ? [`${skippedFor("reported")} skipped: the host has reported in the meantime`]
        : []),
      ...(failed.length > 0 ? [`${failed.length} failed`] : []),
    ].join("; "),
    ...(failed.length > 0 ? ["Run the same command again to retry the assets that failed."] : []),
  ];
  return { json: result, lines, code: failed.length > 0 ? 1 : 0 };
}
