import type { Model } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { type Answers, type Judgement, judge, openaiShape, rivals } from "../../catalogue/judge.ts";
import type { Examined } from "../../catalogue/match.ts";
import {
  grpcAuth,
  grpcMethods,
  grpcModelList,
  grpcModels,
  grpcVersion,
  judgeGrpc,
  readGrpc,
} from "../http2/grpc.ts";
import { listedModels, OPENAI_MODELS } from "../models/served-models.ts";
import { authOf, versionOf } from "./answered-facts.ts";
import type { Target } from "./connection.ts";
import { createByteBudget, createKeeper } from "./kept-answer.ts";
import { PROBE_LIMITS } from "./probe.ts";
import { decisivePaths, detailPaths, planOf } from "./probe-plan.ts";
import { type FingerprintDeps, ProbeSession } from "./probe-session.ts";

/** Result of probing a listener. If neither `judgement.winner` nor `shape` is set, no engine was recognised. */
export type Fingerprint = {
  target: Target;
  judgement: Judgement;
  /** A sentence for the evidence. Present if the server has a model list in the format of the OpenAI API. */
  shape?: string;
  auth: "open" | "required" | "unknown";
  /** Present if the server was probed over gRPC. The paths of matched traits are then gRPC methods. */
  grpc?: true;
  version?: string;
  models: Model[];
  /** False if some requests got no response, so that another attempt could find out more. */
  settled: boolean;
  /** State of an unfinished attempt. Pass it to {@link fingerprint} to resume. */
  rest?: ProbeSession;
};

/**
 * Probes a listener until it is identified. Requests the front page, then the paths of `likely` products, the
 * OpenAI model list and all other paths of the catalogue. For a gRPC server, calls its methods instead. No
 * path is requested twice. The limits are {@link FINGERPRINT_LIMITS} of probe-session.ts.
 */
export async function fingerprint(
  deps: FingerprintDeps,
  where: Omit<Target, "tls">,
  likely: ReadonlySet<string>,
  options: {
    signal?: AbortSignal | undefined;
    /**
     * Returns the likely products once all facts about the process are known. If several products fit equally
     * well, a likely product wins.
     */
    likelyInTheEnd?: () => Promise<ReadonlySet<string>>;
    /** Resumes an earlier attempt. Its responses are kept, and the timeout is longer. */
    rest?: ProbeSession | undefined;
  } = {},
): Promise<Fingerprint> {
  const session = options.rest ?? new ProbeSession(deps, where);
  session.begin(options.signal);
  try {
    const found = await identify(deps, session, likely, options);
    if (found.rest) session.park();
    else session.close();
    return found;
  } catch (cause) {
    session.close();
    throw cause;
  }
}

async function identify(
  deps: FingerprintDeps,
  session: ProbeSession,
  likely: ReadonlySet<string>,
  options: { likelyInTheEnd?: () => Promise<ReadonlySet<string>> },
): Promise<Fingerprint> {
  const opened = await session.open();
  if (opened === "http2") {
    const methods = grpcMethods(deps.catalogue, likely);
    await session.call(methods);
    if (session.grpc.size > 0) return finishGrpc(deps.catalogue, session, methods);
  }
  if (opened === "none" || (opened === "http2" && !(await session.openFront())))
    return conclude(deps.catalogue, session, likely);
  let batches = 0;
  for (const paths of planOf(deps.catalogue)(likely)) {
    if (session.isOver() || isDecided(deps.catalogue, session.answers, likely, batches)) break;
    await session.ask(paths);
    batches += 1;
  }
  const known = (await options.likelyInTheEnd?.()) ?? likely;
  const { winner } = judge(deps.catalogue, session.answers, known);
  if (winner) await session.ask(rivals(deps.catalogue, winner.entry).flatMap(decisivePaths));
  const final = judge(deps.catalogue, session.answers, known).winner;
  if (final) await session.ask(detailPaths(final.entry), PROBE_LIMITS.MODELS_BYTES_MAX);
  return conclude(deps.catalogue, session, known);
}

async function finishGrpc(
  catalogue: readonly CatalogEntry[],
  session: ProbeSession,
  methods: string[],
): Promise<Fingerprint> {
  const models = grpcModels(judgeGrpc(catalogue, session.grpc));
  if (models) methods.push(models.call);
  await session.call(methods, PROBE_LIMITS.MODELS_BYTES_MAX);
  const judgement = judgeGrpc(catalogue, session.grpc);
  const version = grpcVersion(judgement, session.grpc);
  return {
    target: session.target,
    judgement,
    auth: grpcAuth(judgement, session.grpc),
    grpc: true,
    models: grpcModelList(judgement, session.grpc),
    settled: session.isSettled() || judgement.winner !== undefined,
    ...(version !== undefined && { version }),
    ...(session.lacks(methods) && { rest: session }),
  };
}

/**
 * Requests the model lists of an identified listener again. Returns `before` itself if the models are
 * unchanged. Returns undefined if the connection fails or if every model list returns 404.
 */
export async function refreshModels(
  deps: FingerprintDeps,
  before: Fingerprint,
  signal?: AbortSignal,
): Promise<Fingerprint | undefined> {
  if (before.grpc) return refreshGrpc(deps, before, signal);
  const lists = modelLists(before);
  if (lists.length === 0) return before;
  const answers = new Map<string, Examined>();
  const keeper = createKeeper(deps.catalogue, deps.kept ?? createByteBudget());
  try {
    for (const { path } of lists) {
      const options = { signal, bodyBytesMax: PROBE_LIMITS.MODELS_BYTES_MAX };
      const result = await deps.probe(before.target, path, options);
      if ("failed" in result) return result.failed === "silent" ? before : undefined;
      answers.set(path, keeper.keep(path, result));
    }
    const areListsGone =
      before.models.length > 0 && [...answers.values()].every(({ status }) => status === 404);
    if (areListsGone) return undefined;
    return withModels(before, listedModels(lists, answers));
  } finally {
    keeper.close();
  }
}

async function refreshGrpc(
  deps: FingerprintDeps,
  before: Fingerprint,
  signal: AbortSignal | undefined,
): Promise<Fingerprint | undefined> {
  const list = grpcModels(before.judgement);
  if (!list) return before;
  const bodyBytesMax = PROBE_LIMITS.MODELS_BYTES_MAX;
  const result = await deps.probe(before.target, list.call, { signal, bodyBytesMax, grpc: true });
  if ("failed" in result) return result.failed === "silent" ? before : undefined;
  const answer = readGrpc(list.call, result);
  if (!answer) return undefined;
  return withModels(before, grpcModelList(before.judgement, new Map([[list.call, answer]])));
}

const withModels = (before: Fingerprint, models: Model[]): Fingerprint =>
  JSON.stringify(models) === JSON.stringify(before.models) ? before : { ...before, models };

const modelLists = (known: Pick<Fingerprint, "judgement" | "shape">) => {
  const own = known.judgement.winner?.entry;
  if (own) return own.models ?? (own.openai ? [OPENAI_MODELS] : []);
  return known.shape === undefined ? [] : [OPENAI_MODELS];
};

/**
 * True if more paths cannot change the result. That is the case if the product names itself, or if it fits
 * and the most common paths were requested too. Paths of products that imitate the winner are always
 * requested.
 */
function isDecided(
  catalogue: readonly CatalogEntry[],
  answers: Answers,
  likely: ReadonlySet<string>,
  batches: number,
): boolean {
  const { winner } = judge(catalogue, answers, likely);
  if (!winner) return false;
  return batches >= COMMON_BATCHES || winner.traits.some((trait) => trait.weight === "identity");
}

/**
 * Number of batches to request before the winner is final: one with the paths of likely products, and one
 * with the eight most common paths.
 */
const COMMON_BATCHES = 2;

function conclude(
  catalogue: readonly CatalogEntry[],
  session: ProbeSession,
  likely: ReadonlySet<string>,
): Fingerprint {
  const { answers } = session;
  const judgement = judge(catalogue, answers, likely);
  const shape = openaiShape(answers);
  const lists = modelLists({ judgement, ...(shape !== undefined && { shape }) });
  const version = judgement.winner && versionOf(judgement.winner.entry, answers);
  const own = judgement.winner?.entry;
  const hasRest = own
    ? session.lacks([...detailPaths(own), ...rivals(catalogue, own).flatMap(decisivePaths)])
    : session.isCutShort() || session.isSilent();
  return {
    target: session.target,
    judgement,
    auth: authOf(
      judgement,
      answers,
      lists.map((list) => list.path),
    ),
    models: listedModels(lists, answers),
    settled: session.isSettled() || judgement.winner !== undefined,
    ...(shape !== undefined && { shape }),
    ...(version !== undefined && { version }),
    ...(hasRest && { rest: session }),
  };
}
