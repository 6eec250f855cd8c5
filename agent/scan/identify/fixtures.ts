import type { CatalogEntry, Fixture } from "../../catalogue/entry.ts";
import { fingerprint } from "../probe/fingerprint.ts";
import type { Probe } from "../probe/probe.ts";
import type { Listener, ProcessFacts, Snapshot } from "../system/host.ts";
import { findCandidates } from "./find-candidates.ts";
import { createClaimsOf, libraryFilter } from "./process-claims.ts";

/** A probe of a stub server that returns the responses of a fixture, and 404 for all other paths. */
export function probeOf(fixture: Fixture, asked: string[] = []): Probe {
  return async (_, path) => {
    asked.push(path);
    const known = fixture.answers?.[path];
    if (!known) return { status: 404, headers: {}, body: "Not Found" };
    const { status = 200, headers = {}, body = "" } = known;
    return { status, headers, body: typeof body === "string" ? body : JSON.stringify(body) };
  };
}

const PID = 4242;
/** A port that is not the default port of any product. */
const PORT = 49_999;

/** Creates a function that returns the engine ids of a scan in which the fixture is the only program on the host. */
export function createIdentify(catalogue: readonly CatalogEntry[]): (fixture: Fixture) => Promise<string[]> {
  const byId = new Map(catalogue.map((entry) => [entry.id, entry]));
  const claimsOf = createClaimsOf(catalogue);
  const wanted = libraryFilter(catalogue);
  return async (fixture) => {
    const { executable = "/opt/app/bin/server", argv = [], libraries = [] } = fixture.process ?? {};
    const process: ProcessFacts = { pid: PID, parentPid: 1, key: "k", name: "server", executable, argv };
    const loaded = libraries.filter(wanted);
    const claims = claimsOf(process, loaded);
    const address = "127.0.0.1";
    const listener: Listener = { key: "l", address, port: PORT, pid: PID, reachableAt: address };
    const deps = { probe: probeOf(fixture), catalogue, elapsed: () => 0 };
    const found = fixture.answers
      ? [{ listener, fingerprint: await fingerprint(deps, { address, port: PORT }, new Set()) }]
      : [];
    const snapshot: Snapshot = {
      processes: new Map([[PID, process]]),
      listeners: [listener],
      weights: new Map(),
      libraries: new Map([[PID, loaded]]),
      gpu: new Map(),
      collectors: [],
    };
    const facts = { snapshot, catalogue: byId, heard: found, claims: new Map([[PID, claims]]), selfPid: 1 };
    return findCandidates(facts).map((candidate) => candidate.id);
  };
}

/**
 * Checks a catalogue against its fixtures. Returns the first fault, or undefined. For a positive fixture, the
 * scan must report only the fixture's product. For a negative fixture, the scan must not report the product.
 *
 * `guards`: entries of an older catalogue. Their negative fixtures are checked too. `pause` is awaited
 * between products, so that the check does not block other work.
 */
export async function faultOf(
  catalogue: readonly CatalogEntry[],
  guards: readonly CatalogEntry[],
  pause: () => Promise<void>,
): Promise<string | undefined> {
  const identify = createIdentify(catalogue);
  for (const { id, fixtures } of catalogue) {
    for (const [at, fixture] of fixtures.positive.entries()) {
      const found = await identify(fixture);
      if (found.length !== 1 || found[0] !== id)
        return `${id}: positive fixture ${at} is reported as ${found.join(", ") || "nothing"}`;
    }
    for (const [at, fixture] of fixtures.negative.entries()) {
      if ((await identify(fixture)).includes(id))
        return `${id}: negative fixture ${at} is reported as this product`;
    }
    await pause();
  }
  for (const { id, fixtures } of guards) {
    for (const [at, fixture] of fixtures.negative.entries()) {
      if ((await identify(fixture)).includes(id))
        return `${id}: built-in negative fixture ${at} is reported as this product`;
    }
    await pause();
  }
  return undefined;
}
