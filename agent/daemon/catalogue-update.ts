import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { messageOf } from "../../shared/observability/error-message.ts";
import type { Clock } from "../../shared/time/clock.ts";
import {
  CATALOGUE_BYTES_MAX,
  CATALOGUE_PATH,
  compareVersions,
  verifyCatalogue,
} from "../../shared/wire/catalog.ts";
import type { Collector } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { catalogueDocument } from "../catalogue/document.ts";
import type { CatalogEntry } from "../catalogue/entry.ts";
import { parseJson, readBounded, withTimeout } from "../network/control-plane-client.ts";
import { AGENT_VERSION } from "../platform/agent-version.ts";
import type { Log } from "../platform/log.ts";
import { codeOf, readState, StateFault, writeState } from "../platform/state-files.ts";
import { faultOf } from "../scan/identify/fixtures.ts";

const STATE_FILE = "catalogue.json";
/** Minimum interval in milliseconds between two fetches. Each new session triggers a fetch, about once an hour. */
export const FETCH_EVERY_MS = 3 * 3600 * 1000;
const FETCH_TIMEOUT_MS = 30_000;

/**
 * The catalogue document as received from the edge. It is stored unchanged, so that each start can verify its
 * signature.
 */
const stateFile = z.strictObject({
  v: z.literal(1),
  etag: z.string().max(200).optional(),
  /** Agent version that ran the fixtures. A different version runs them again, because its matching can differ. */
  checkedBy: z.string(),
  document: z.string().max(CATALOGUE_BYTES_MAX),
});

export type Catalogue = { version: string; entries: readonly CatalogEntry[] };

export type CatalogueDeps = {
  edgeUrl: string;
  directory: string;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** The pinned control keys. */
  pins: () => JSONWebKeySet;
  builtIn: Catalogue;
  clock: Clock;
  /** Yields to the event loop between two products while their fixtures run. */
  pause: () => Promise<void>;
  log: Log;
};

export type CatalogueUpdates = {
  /** The catalogue for scans. It is a new object after an update. */
  current: () => Catalogue;
  /** A collector for the heartbeat. Undefined if the last update was not rejected. */
  collector: () => Collector | undefined;
  /**
   * Fetches the catalogue from the edge if the last fetch is old enough. Never rejects. Only one fetch runs
   * at a time.
   */
  update: (signal: AbortSignal) => Promise<void>;
};

/**
 * Why a document is not used. `older` is harmless, because an agent often contains a newer catalogue than its
 * edge.
 */
type Refused = { is: "refused" | "older"; reason: string };

export type Kept =
  | { is: "taken"; catalogue: Catalogue; etag: string | undefined }
  | { is: "none"; reason?: undefined }
  | Refused;

/**
 * Reason for a document whose version is already in use. It is not reported, because it has harmless causes:
 * the edge sent no ETag, or the agent has just started.
 */
const IN_USE = "it is the version in use";

type Examining = Pick<CatalogueDeps, "pins" | "builtIn" | "clock" | "pause">;

/**
 * Reads the last accepted catalogue. Returns it only if it still passes every check and is newer than the
 * built-in one.
 */
export async function readCatalogue(deps: Examining & Pick<CatalogueDeps, "directory">): Promise<Kept> {
  let kept: z.infer<typeof stateFile> | undefined;
  try {
    kept = readState(deps.directory, STATE_FILE, stateFile);
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    return { is: "refused", reason: "its file is damaged; the next update replaces it" };
  }
  if (!kept) return { is: "none" };
  const isChecked = kept.checkedBy === AGENT_VERSION;
  const result = await examine(deps, deps.builtIn.version, kept.document, isChecked);
  return "catalogue" in result ? { is: "taken", catalogue: result.catalogue, etag: kept.etag } : result;
}

/** Checks signature, version, schema and fixtures of a document. The cheapest check is first. */
async function examine(
  deps: Examining,
  current: string,
  document: string,
  isChecked: boolean,
): Promise<{ catalogue: Catalogue } | Refused> {
  const refuse = (reason: string): Refused => ({ is: "refused", reason });
  const signed = await verifyCatalogue(document, deps.pins(), deps.clock()).catch(() => undefined);
  if (!signed) return refuse("no pinned control key signed it");
  const order = compareVersions(signed.version, current);
  if (order === 0) return { is: "older", reason: IN_USE };
  if (order < 0) return { is: "older", reason: `${signed.version} is older than ${current}` };
  const parsed = catalogueDocument.safeParse(parseJson(signed.json));
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join(".") || "its root";
    return refuse(`${signed.version} does not match the schema of this agent (at ${where})`);
  }
  const { version, entries } = parsed.data;
  if (version !== signed.version)
    return refuse(`the signed version is ${signed.version}, but the document says ${version}`);
  const fault = isChecked ? undefined : await faultOf(entries, deps.builtIn.entries, deps.pause);
  if (fault !== undefined) return refuse(`${version} fails its own fixtures: ${fault}`);
  return { catalogue: { version, entries: entries.map(withoutFixtures) } };
}

/** State of the updater between two fetches. */
type UpdateState = {
  deps: CatalogueDeps;
  current: Catalogue;
  /** Why the last document was rejected. Undefined if it was accepted or its version was already in use. */
  refused: Refused | undefined;
  /** ETag of the last document. The ETag is also stored for a rejected document, so that it is not fetched again. */
  etag: string | undefined;
  fetchedAtMs: number;
  /** The fetch in progress. Undefined between fetches. */
  fetching: Promise<void> | undefined;
};

/**
 * Opens the catalogue of this host: the last accepted one if it still passes its checks, otherwise the
 * built-in one. The agent accepts a newer catalogue from the edge if a pinned control key signed it, it
 * matches the schema, and the fixtures inside it pass. Otherwise, the current catalogue stays in use.
 */
export async function openCatalogue(deps: CatalogueDeps): Promise<CatalogueUpdates> {
  const state: UpdateState = {
    deps,
    current: deps.builtIn,
    refused: undefined,
    etag: undefined,
    fetchedAtMs: Number.NEGATIVE_INFINITY,
    fetching: undefined,
  };
  await useStored(state);
  return {
    current: () => state.current,
    collector: () => collectorOf(state),
    update: async (signal) => {
      const nowMs = deps.clock();
      if (state.fetching || Math.abs(nowMs - state.fetchedAtMs) < FETCH_EVERY_MS) return state.fetching;
      state.fetchedAtMs = nowMs;
      state.fetching = fetchCatalogue(state, signal)
        .catch((cause) => deps.log("error", "catalogue.not-fetched", { reason: tidy(messageOf(cause), 200) }))
        .finally(() => {
          state.fetching = undefined;
        });
      return state.fetching;
    },
  };
}

async function useStored(state: UpdateState): Promise<void> {
  const kept = await readCatalogue(state.deps);
  if (kept.is === "taken") {
    state.current = kept.catalogue;
    state.etag = kept.etag;
  } else if (kept.is !== "none") {
    const isRefused = kept.is === "refused";
    state.deps.log(
      isRefused ? "warn" : "info",
      isRefused ? "catalogue.stored-refused" : "catalogue.stored-outdated",
      { reason: kept.reason },
    );
  }
}

function collectorOf({ refused, current }: UpdateState): Collector | undefined {
  if (!refused) return undefined;
  const status = refused.is === "older" ? "ok" : "partial";
  const detail = tidy(`kept ${current.version}, update refused: ${refused.reason}`, 240);
  return { name: "catalogue", status, detail };
}

async function fetchCatalogue(state: UpdateState, signal: AbortSignal): Promise<void> {
  const { deps, etag } = state;
  const result = await withTimeout(signal, FETCH_TIMEOUT_MS, async (bounded) => {
    const headers = { "user-agent": `lz-agent/${AGENT_VERSION}`, ...(etag && { "if-none-match": etag }) };
    const init = { headers, redirect: "manual", signal: bounded } as const;
    const response = await deps.fetch(deps.edgeUrl + CATALOGUE_PATH, init);
    const tag = response.headers.get("etag")?.slice(0, 200);
    const body = await readBounded(response, CATALOGUE_BYTES_MAX);
    return { kind: "document", status: response.status, body, tag } as const;
  });
  // Status 304 means that the catalogue has not changed, and 404 that the control plane has none. After any
  // other status, the next fetch tries again.
  if (result.kind === "document" && result.status === 200) await accept(state, result.body, result.tag);
  else if (result.kind === "unreachable") state.fetchedAtMs = Number.NEGATIVE_INFINITY;
}

/** Checks a document. If it passes, uses and saves it. */
async function accept(state: UpdateState, document: string, tag: string | undefined): Promise<void> {
  const { deps } = state;
  const result = await examine(deps, state.current.version, document, false);
  state.etag = tag;
  const isAccepted = "catalogue" in result;
  state.refused = isAccepted || result.reason === IN_USE ? undefined : result;
  if (state.refused) deps.log("warn", "catalogue.refused", { reason: state.refused.reason });
  if (!isAccepted) return;
  state.current = result.catalogue;
  const { version, entries } = state.current;
  deps.log("info", "catalogue.updated", { version, products: entries.length });
  try {
    writeState(deps.directory, STATE_FILE, {
      v: 1,
      ...(tag !== undefined && { etag: tag }),
      checkedBy: AGENT_VERSION,
      document,
    });
  } catch (cause) {
    deps.log("warn", "catalogue.not-saved", { reason: codeOf(cause) });
  }
}

/** Removes the fixtures to save memory, because scans do not use them. */
const withoutFixtures = (entry: CatalogEntry): CatalogEntry => ({
  ...entry,
  fixtures: { positive: [], negative: [] },
});
