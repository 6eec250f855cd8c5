import type { Engine } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Snapshot } from "../system/host.ts";
import type { Claim } from "./process-claims.ts";

/** Kinds of products that use sockets only internally. These sockets serve no models. */
const NO_SERVERS = new Set<Engine["kind"]>(["coding-agent", "ai-app", "launcher"]);

/** Returns the processes that could serve a model, strongest evidence first. */
export type SuspectsOf = (
  snapshot: Pick<Snapshot, "weights" | "libraries" | "gpu">,
  claims: ReadonlyMap<number, readonly Claim[]>,
) => ReadonlySet<number>;

/**
 * Suspects are processes with weights, GPU memory, an inference library, or evidence of a product that serves
 * models.
 */
export function createSuspectsOf(catalogue: readonly CatalogEntry[]): SuspectsOf {
  const kinds = new Map(catalogue.map(({ id, kind }) => [id, kind]));
  const serves = ({ product }: Claim): boolean => !NO_SERVERS.has(kinds.get(product) ?? "generic");
  return ({ weights, libraries, gpu }, claims) =>
    new Set([
      ...weights.keys(),
      ...gpu.keys(),
      ...libraries.keys(),
      ...[...claims].filter(([, made]) => made.some(serves)).map(([pid]) => pid),
    ]);
}
