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
import { createInquiry, type FingerprintDeps, type Inquiry } from "./inquiry.ts";
import { createByteBudget, createKeeper } from "./kept-answer.ts";
import { PROBE_LIMITS } from "./probe.ts";
import { decisivePaths, detailPaths, planOf } from "./probe-plan.ts";

/** Result of probing a listener. Without `judgement.winner` and `shape` no engine was recognised. */
export type Fingerprint = {
  target: Target;
  judgement: Judgement;
  /** It speaks the OpenAI API, in words. */
  shape?: string;
  auth: "open" | "required" | "unknown";
  /** It was probed by gRPC, so the paths of its traits are gRPC methods. */
  grpc?: true;
  version?: string;
  models: Model[];
  /** False when it did not answer in full: worth another try later. */
  settled: boolean;
  /** Where the next attempt goes on, when some questions were not answered: pass it to {@link fingerprint}. */
  rest?: Inquiry;
};
/**
 * Asks a listener until it is identified: its front page, the paths of `likely` products, the OpenAI list, and
 * then every other path the catalogue knows; a server of gRPC by its methods. Nothing twice, bounded by
 * {@link FINGERPRINT_LIMITS} of inquiry.ts. Where more becomes known of its process meanwhile, `likelyInTheEnd` has it.
 */
export async function fingerprint(
  deps: FingerprintDeps,
  where: Omit<Target, "tls">,
  likely: ReadonlySet<string>,
  options: {
    signal?: AbortSignal | undefined;
    likelyInTheEnd?: () => Promise<ReadonlySet<string>>;
    /** Resumes an earlier attempt with its responses and with a longer timeout. */
    rest?: Inquiry | undefined;
  } = {},
): Promise<Fingerprint> {
  const inquiry = options.rest ?? createInquiry(deps, where);
  inquiry.begin(options.signal);
  try {
    const found = await inquire(deps, inquiry, likely, options);
    if (found.rest) inquiry.park();
    else inquiry.close();
    return found;
  } catch (cause) {
    inquiry.close();
    throw cause;
  }
}

async function inquire(
  deps: FingerprintDeps,
  inquiry: Inquiry,
  likely: ReadonlySet<string>,
  options: { likelyInTheEnd?: () => Promise<ReadonlySet<string>> },
): Promise<Fingerprint> {
  const opened = await inquiry.open();
  if (opened === "http2") {
    const methods = grpcMethods(deps.catalogue, likely);
    await inquiry.call(methods);
    if (inquiry.grpc.size > 0) return finishGrpc(deps.catalogue, inquiry, methods);
  }
  if (opened === "none" || (opened === "http2" && !(await inquiry.openFront())))
    return conclude(deps.catalogue, inquiry, likely);
  let batches = 0;
  for (const paths of planOf(deps.catalogue)(likely)) {
    const decided = inquiry.isOver() || isDecided(deps.catalogue, inquiry.answers, likely, batches);
    if (decided) break;
    await inquiry.ask(paths);
    batches += 1;
  }
  const known = (await options.likelyInTheEnd?.()) ?? likely;
  const { winner } = judge(deps.catalogue, inquiry.answers, known);
  if (winner) await inquiry.ask(rivals(deps.catalogue, winner.entry).flatMap(decisivePaths));
  const final = judge(deps.catalogue, inquiry.answers, known).winner;
  if (final) await inquiry.ask(detailPaths(final.entry), PROBE_LIMITS.MODELS_BYTES_MAX);
  return conclude(deps.catalogue, inquiry, known);
}

async function finishGrpc(
  catalogue: readonly CatalogEntry[],
  inquiry: Inquiry,
  methods: string[],
): Promise<Fingerprint> {
  const models = grpcModels(judgeGrpc(catalogue, inquiry.grpc));
  if (models) methods.push(models.call);
  await inquiry.call(methods, PROBE_LIMITS.MODELS_BYTES_MAX);
  const judgement = judgeGrpc(catalogue, inquiry.grpc);
  const version = grpcVersion(judgement, inquiry.grpc);
  return {
    target: inquiry.target(),
    judgement,
    auth: grpcAuth(judgement, inquiry.grpc),
    grpc: true,
    models: grpcModelList(judgement, inquiry.grpc),
    settled: inquiry.settled() || judgement.winner !== undefined,
    ...(version !== undefined && { version }),
    ...(inquiry.lacks(methods) && { rest: inquiry }),
  };
}

/**
 * Asks an identified listener again for what changes: its models. The same fingerprint while they are the same,
 * undefined when it no longer answers, or knows nothing any more of the lists that it had.
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
    const isOther = before.models.length > 0 && [...answers.values()].every(({ status }) => status === 404);
    if (isOther) return undefined;
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
 * A product that names itself ends the questions. So does a combination that no other product has, once the paths
 * that most products answer were asked as well; those that copy the winner's answers are asked in any case.
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

/** What is likely, and the eight paths that most products answer. */
const COMMON_BATCHES = 2;

function conclude(
  catalogue: readonly CatalogEntry[],
  inquiry: Inquiry,
  likely: ReadonlySet<string>,
): Fingerprint {
  const { answers } = inquiry;
  const judgement = judge(catalogue, answers, likely);
  const shape = openaiShape(answers);
  const lists = modelLists({ judgement, ...(shape !== undefined && { shape }) });
  const version = judgement.winner && versionOf(judgement.winner.entry, answers);
  const own = judgement.winner?.entry;
  const hasRest = own
    ? inquiry.lacks([...detailPaths(own), ...rivals(catalogue, own).flatMap(decisivePaths)])
    : inquiry.isCutShort() || inquiry.isSilent();
  return {
    target: inquiry.target(),
    judgement,
    auth: authOf(
      judgement,
      answers,
      lists.map((list) => list.path),
    ),
    models: listedModels(lists, answers),
    settled: inquiry.settled() || judgement.winner !== undefined,
    ...(shape !== undefined && { shape }),
    ...(version !== undefined && { version }),
    ...(hasRest && { rest: inquiry }),
  };
}
