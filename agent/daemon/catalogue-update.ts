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
/** Sessions open about once an hour; every fourth one asks. */
export const FETCH_EVERY_MS = 3 * 3600 * 1000;
const FETCH_TIMEOUT_MS = 30_000;

/** The document as it was served, so that its signature is checked again at every start. */
const stateFile = z.strictObject({
  v: z.literal(1),
  etag: z.string().max(200).optional(),
  /** Version of the agent that ran the fixtures: another one may judge them otherwise, and runs them again. */
  checkedBy: z.string(),
  document: z.string().max(CATALOGUE_BYTES_MAX),
});

export type Catalogue = { version: string; entries: readonly CatalogEntry[] };

export type CatalogueDeps = {
  edgeUrl: string;
  directory: string;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Control keys pinned now. */
  pins: () => JSONWebKeySet;
  builtIn: Catalogue;
  clock: Clock;
  /** Gives way to everything else between two products under test. */
  pause: () => Promise<void>;
  log: Log;
};

export type CatalogueUpdates = {
  /** What to scan with. Another object after an update. */
  current: () => Catalogue;
  /** A word for the heartbeat when what was offered is not what is used. */
  collector: () => Collector | undefined;
  /** Asks the edge when it is time to. Never rejects; one at a time. */
  update: (signal: AbortSignal) => Promise<void>;
};

/** Why a document is not taken. `older` harms nobody: an agent newer than its edge's catalogue meets it daily. */
type Refused = { is: "refused" | "older"; reason: string };

export type Kept =
  | { is: "taken"; catalogue: Catalogue; etag: string | undefined }
  | { is: "none"; reason?: undefined }
  | Refused;

/** Served without a tag, or after a start: nothing to tell anyone. */
const IN_USE = "it is the version in use";

type Examining = Pick<CatalogueDeps, "pins" | "builtIn" | "clock" | "pause">;

/** The catalogue taken last, if it still passes every check. Another than the built-in one is newer than it. */
export async function readCatalogue(deps: Examining & Pick<CatalogueDeps, "directory">): Promise<Kept> {
  let kept: z.infer<typeof stateFile> | undefined;
  try {
    kept = readState(deps.directory, STATE_FILE, stateFile);
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    return { is: "refused", reason: "it is damaged; the next update replaces it" };
  }
  if (!kept) return { is: "none" };
  const isChecked = kept.checkedBy === AGENT_VERSION;
  const result = await examine(deps, deps.builtIn.version, kept.document, isChecked);
  return "catalogue" in result ? { is: "taken", catalogue: result.catalogue, etag: kept.etag } : result;
}

/** Signature, age, form and fixtures of a document, the cheap ones first. */
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
    return refuse(`${signed.version} is not of a form this agent knows (${where})`);
  }
  const { version, entries } = parsed.data;
  if (version !== signed.version) return refuse(`${signed.version} names itself ${version}`);
  const fault = isChecked ? undefined : await faultOf(entries, deps.builtIn.entries, deps.pause);
  if (fault !== undefined) return refuse(`${version} fails its test: ${fault}`);
  return { catalogue: { version, entries: entries.map(withoutFixtures) } };
}

/**
 * Opens the catalogue of this host: the one taken last, if it still passes, else the one built in. A newer one is
 * taken from the edge when a pinned control key signed it, it fits the schema, and its own fixtures come out right;
 * otherwise everything stays as it is.
 */
export async function openCatalogue(deps: CatalogueDeps): Promise<CatalogueUpdates> {
  let current = deps.builtIn;
  let refused: Refused | undefined;
  /** Of the last document seen, taken or not: one that was refused is not fetched again and again. */
  let etag: string | undefined;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  const kept = await readCatalogue(deps);
  if (kept.is === "taken") {
    current = kept.catalogue;
    etag = kept.etag;
  } else if (kept.is !== "none") {
    const isRefused = kept.is === "refused";
    deps.log(
      isRefused ? "warn" : "info",
      isRefused ? "catalogue.stored-refused" : "catalogue.stored-outdated",
      { reason: kept.reason },
    );
  }

  async function take(document: string, tag: string | undefined): Promise<void> {
    const result = await examine(deps, current.version, document, false);
    etag = tag;
    const isNews = "catalogue" in result;
    refused = isNews || result.reason === IN_USE ? undefined : result;
    if (refused) deps.log("warn", "catalogue.refused", { reason: refused.reason });
    if (!isNews) return;
    current = result.catalogue;
    deps.log("info", "catalogue.updated", {
      version: current.version,
      products: current.entries.length,
    });
    try {
      writeState(deps.directory, STATE_FILE, {
        v: 1,
        ...(tag !== undefined && { etag: tag }),
        checkedBy: AGENT_VERSION,
        document,
      });
    } catch (cause) {
      deps.log("warn", "catalogue.not-saved", {
        reason: codeOf(cause),
      });
    }
  }

  async function ask(signal: AbortSignal): Promise<void> {
    const result = await withTimeout(signal, FETCH_TIMEOUT_MS, async (bounded) => {
      const headers = { "user-agent": `lz-agent/${AGENT_VERSION}`, ...(etag && { "if-none-match": etag }) };
      const init = { headers, redirect: "manual", signal: bounded } as const;
      const response = await deps.fetch(deps.edgeUrl + CATALOGUE_PATH, init);
      const tag = response.headers.get("etag")?.slice(0, 200);
      const body = await readBounded(response, CATALOGUE_BYTES_MAX);
      return { kind: "document", status: response.status, body, tag } as const;
    });
    // 304: as before. 404: this control plane has none. Anything else is a matter for the next time.
    if (result.kind === "document" && result.status === 200) await take(result.body, result.tag);
    else if (result.kind === "unreachable") lookedAtMs = Number.NEGATIVE_INFINITY;
  }

  return {
    current: () => current,
    collector: () => {
      if (!refused) return undefined;
      const status = refused.is === "older" ? "ok" : "partial";
      const detail = tidy(`kept ${current.version}, update refused: ${refused.reason}`, 240);
      return { name: "catalogue", status, detail };
    },
    update: async (signal) => {
      const nowMs = deps.clock();
      if (looking || Math.abs(nowMs - lookedAtMs) < FETCH_EVERY_MS) return looking;
      lookedAtMs = nowMs;
      looking = ask(signal)
        .catch((cause) =>
          deps.log("error", "catalogue.not-fetched", {
            reason: tidy(messageOf(cause), 200),
          }),
        )
        .finally(() => {
          looking = undefined;
        });
      return looking;
    },
  };
}

/** They were for the test only; a scan has no use for them, and memory is scarce. */
const withoutFixtures = (entry: CatalogEntry): CatalogEntry => ({
  ...entry,
  fixtures: { positive: [], negative: [] },
});
