import type { Evidence } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Heard } from "../probe/probe-listeners.ts";
import { repositoryOf } from "../stores/repository.ts";
import { baseName } from "../system/base-name.ts";
import { type AnyListener, type GpuUse, isTcp, type ProcessFacts, type WeightFile } from "../system/host.ts";
import { type Facts, type Found, UNREADABLE_PID } from "./candidate.ts";
import { evidenceOf } from "./confidence.ts";
import { type Claim, sharedLibrary } from "./process-claims.ts";

/**
 * True if the response came through a port forwarder or from a container address, and not directly from a
 * socket of the process.
 */
const isRouted = ({ listener }: Heard, process: ProcessFacts): boolean =>
  process.pid !== UNREADABLE_PID &&
  isTcp(listener) &&
  (listener.pid !== process.pid || (listener.network !== undefined && listener.inside === undefined));

const asRouted = (evidence: Evidence[]): Found[] => evidence.map((one) => ({ ...one, routed: true }));

/** Evidence from responses. Routed responses are marked, because containment does not count them. */
export const fromAnswers = (
  heard: readonly Heard[],
  process: ProcessFacts,
  evidenceIn: (heard: readonly Heard[]) => Evidence[],
): Found[] => [
  ...evidenceIn(heard.filter((one) => !isRouted(one, process))),
  ...asRouted(evidenceIn(heard.filter((one) => isRouted(one, process)))),
];

export const shapeEvidence = (heard: readonly Heard[]): Evidence[] =>
  heard.map(({ fingerprint }) => evidenceOf("openaiShape", fingerprint.shape!));

/** Evidence from listeners whose responses identify a product. */
export function httpEvidence(heard: readonly Heard[]): Evidence[] {
  return heard.flatMap(({ listener, fingerprint }) => {
    const { winner, runnersUp } = fingerprint.judgement;
    const asked = fingerprint.grpc ? "gRPC" : "GET";
    const { tls, prefix } = fingerprint.target;
    const place = isTcp(listener)
      ? `${tls ? "https" : "http"} port ${listener.port}`
      : describeAddress(listener);
    // The evidence does not name the prefix, because the prefix comes from the command line, which must not
    // leave the host.
    const where = prefix === undefined ? place : `${place} behind its path prefix`;
    return [
      ...winner!.traits.map((trait) =>
        evidenceOf(HTTP_WEIGHTS[trait.weight], `${asked} ${trait.path} on ${where}: ${trait.says}`),
      ),
      ...runnersUp.map(({ entry }) => evidenceOf("runnerUp", `${where} also responds like ${entry.name}`)),
    ];
  });
}

const describeAddress = (listener: AnyListener): string =>
  isTcp(listener) ? `port ${listener.port}` : `unix socket ${listener.unix.name}`;

const HTTP_WEIGHTS = { identity: "httpIdentity", strong: "httpStrong", hint: "httpHint" } as const;

export function hintEvidence(entry: CatalogEntry, heard: readonly Heard[]): Evidence[] {
  return heard.flatMap(({ listener, fingerprint }) =>
    fingerprint.judgement.hints
      .filter((fit) => fit.entry.id === entry.id)
      .flatMap((fit) => fit.traits)
      .map((trait) =>
        evidenceOf("httpHint", `GET ${trait.path} on ${describeAddress(listener)}: ${trait.says}`),
      ),
  );
}

/** Evidence for one product from the path, command line, name and libraries of a process. */
export const claimEvidence = (claims: readonly Claim[], product: string): Evidence[] =>
  claims.filter((claim) => claim.product === product).map((claim) => evidenceOf(claim.signal, claim.detail));

export function portEvidence(entry: CatalogEntry, heard: readonly Heard[]): Evidence[] {
  return heard
    .map(({ listener }) => listener)
    .filter(isTcp)
    .filter(({ port }) => entry.ports.includes(port))
    .map(({ port }) => evidenceOf("port", `listens on ${port}, a default port of ${entry.name}`));
}

/** Evidence from an inference library that the process has loaded. */
export function libraryEvidence({ pid }: ProcessFacts, { snapshot }: Facts): Evidence[] {
  const library = sharedLibrary(snapshot.libraries.get(pid) ?? []);
  return library === undefined ? [] : [evidenceOf("libraryShared", `loaded ${baseName(library)}`)];
}

/** Evidence from the memory of a process: weights, inference libraries and GPU memory. */
export function held(process: ProcessFacts, weights: readonly WeightFile[], facts: Facts): Evidence[] {
  const evidence = weights.map((file) =>
    evidenceOf(file.how === "mapped" ? "weightsMapped" : "weightsOpen", describeWeights(file)),
  );
  evidence.push(...libraryEvidence(process, facts));
  const gpu = facts.snapshot.gpu.get(process.pid);
  if (gpu) evidence.push(evidenceOf("gpu", describeGpu(gpu)));
  return evidence;
}

/** The driver reports no memory size on a partitioned card (NVIDIA MIG). */
const describeGpu = ({ bytes }: GpuUse): string =>
  bytes === 0 ? "computes on the GPU" : `uses ${Math.round(bytes / 1024 / 1024)} MiB of GPU memory`;

function describeWeights(file: WeightFile): string {
  const { architecture, parameters, quantisation } = file.header ?? {};
  const facts = [file.format, architecture, parameters, quantisation].filter((fact) => fact !== undefined);
  const what = repositoryOf(file.path)?.name ?? baseName(file.path);
  const where = file.inside ? `a model inside ${what}` : what;
  return `${file.how === "mapped" ? "maps" : "keeps open"} ${where} (${facts.join(", ")})`;
}

export const readEvidence = (weights: readonly WeightFile[]): Found[] =>
  weights.map((file) => evidenceOf("weightsRead", `reads model files: ${describeWeights(file)}`));
