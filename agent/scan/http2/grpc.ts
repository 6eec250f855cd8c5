import { LIMITS, type Model } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import type { CatalogEntry, Trait } from "../../catalogue/entry.ts";
import { GRPC_MODELS, GRPC_TRAITS, type GrpcModels, type GrpcTrait } from "../../catalogue/grpc.ts";
import type { Answer } from "../../catalogue/http-answer.ts";
import type { Fit, Judgement } from "../../catalogue/judge.ts";
import { regex } from "../../catalogue/match.ts";
import { type Fields, readFields, textOf } from "./protobuf.ts";

/** Response to a gRPC call: the status, and the message fields that the catalogue needs. */
export type GrpcAnswer = { status: number; message: string; fields: Fields };

export type GrpcAnswers = ReadonlyMap<string, GrpcAnswer>;

/** Status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
const OK = 0;
const UNKNOWN = 2;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

const MESSAGE_LENGTH_MAX = 256;
/** Length of the prefix of each message: 1 byte compression flag, 4 bytes message length. */
const PREFIX_BYTES = 5;

/**
 * Maximum number of values that are kept per field, and maximum length of such a value in bytes. In a model
 * list, each model is one value.
 */
const VALUES_MAX = LIMITS.MODELS_MAX;
const VALUE_BYTES_MAX = 1024;

/**
 * Parses the response to a gRPC call. Returns undefined if the response is not gRPC. `body` holds bytes as
 * latin1. Only short values are kept.
 */
export function readGrpc(call: string, { headers, body }: Answer): GrpcAnswer | undefined {
  if (!/^application\/grpc\b/.test(headers["content-type"] ?? "")) return undefined;
  const status = headers["grpc-status"];
  return {
    status: status !== undefined && /^\d{1,2}$/.test(status) ? Number(status) : UNKNOWN,
    message: (headers["grpc-message"] ?? "").slice(0, MESSAGE_LENGTH_MAX),
    fields: neededOf(call, fieldsIn(Buffer.from(body, "latin1"))),
  };
}

function neededOf(call: string, fields: Fields): Fields {
  const traits = GRPC_TRAITS.filter((one) => one.call === call);
  const lists = Object.values(GRPC_MODELS).filter((one) => one.call === call);
  const wanted = [
    ...traits.flatMap(({ text = {}, version }) => [...Object.keys(text).map(Number), version?.field]),
    ...lists.flatMap(({ each, names, loaded }) => (each === undefined ? [...names, loaded?.field] : [each])),
  ];
  const kept = new Map<number, Uint8Array[]>();
  for (const field of wanted) {
    const values = field === undefined ? undefined : fields.get(field);
    if (field === undefined || !values) continue;
    const short = values.filter(({ length }) => length <= VALUE_BYTES_MAX).slice(0, VALUES_MAX);
    kept.set(
      field,
      short.map((value) => value.slice()),
    );
  }
  return kept;
}

function fieldsIn(body: Buffer): Fields {
  const isWhole = body.length >= PREFIX_BYTES && body[0] === 0;
  const length = isWhole ? body.readUInt32BE(1) : 0;
  if (!isWhole || length > body.length - PREFIX_BYTES) return new Map();
  return readFields(new Uint8Array(body.subarray(PREFIX_BYTES, PREFIX_BYTES + length))) ?? new Map();
}

/** Names of the methods to call. Methods of likely products come first. */
export function grpcMethods(catalogue: readonly CatalogEntry[], likely: ReadonlySet<string>): string[] {
  const known = new Set(catalogue.map(({ id }) => id));
  const traits = GRPC_TRAITS.filter(({ product }) => known.has(product));
  const first = traits.filter(({ product }) => likely.has(product));
  return [...new Set([...first, ...traits].map(({ call }) => call))];
}

export const grpcModels = (judgement: Judgement): GrpcModels | undefined =>
  judgement.winner && GRPC_MODELS[judgement.winner.entry.id];

/**
 * Determines the product from the responses. A product that names itself ranks above a product that is
 * recognised only because it has a certain method.
 */
export function judgeGrpc(catalogue: readonly CatalogEntry[], answers: GrpcAnswers): Judgement {
  const entries = new Map(catalogue.map((entry) => [entry.id, entry]));
  const fits = new Map<CatalogEntry, Trait[]>();
  for (const found of GRPC_TRAITS) {
    const entry = entries.get(found.product);
    const answer = answers.get(found.call);
    if (!entry || !answer || !matches(found, answer)) continue;
    const { call, weight, says } = found;
    fits.set(entry, [...(fits.get(entry) ?? []), { path: call, weight, says }]);
  }
  const rank = ({ traits }: Fit): number => (traits.some(({ weight }) => weight === "identity") ? 1 : 0);
  const [winner, ...runnersUp] = [...fits]
    .map(([entry, traits]) => ({ entry, traits }))
    .sort((a, b) => rank(b) - rank(a) || (a.entry.id < b.entry.id ? -1 : 1));
  // Every KServe v2 server also fits the generic entry `kserve`. Therefore that entry does not count as
  // another product.
  const others = runnersUp.filter(({ entry }) => entry.id !== "kserve");
  return winner ? { winner, runnersUp: others, hints: [] } : { runnersUp: [], hints: [] };
}

function matches({ text, error }: GrpcTrait, { status, message, fields }: GrpcAnswer): boolean {
  if (error) return status === error.status && regex(error.message).test(message);
  if (status !== OK) return false;
  return Object.entries(text ?? {}).every(([field, pattern]) => {
    const value = textOf(fields, Number(field));
    return value !== undefined && regex(pattern).test(value);
  });
}

export function grpcVersion({ winner }: Judgement, answers: GrpcAnswers): string | undefined {
  const own = GRPC_TRAITS.filter(({ product }) => product === winner?.entry.id);
  for (const { call, version } of own) {
    const fields = answers.get(call)?.fields;
    const text = version && fields && textOf(fields, version.field);
    const found = version?.matches === undefined ? text : text && regex(version.matches).exec(text)?.[1];
    if (found) return tidy(found, 40);
  }
  return undefined;
}

export function grpcModelList(judgement: Judgement, answers: GrpcAnswers): Model[] {
  const list = grpcModels(judgement);
  const answer = list && answers.get(list.call);
  if (!list || answer?.status !== OK) return [];
  const items =
    list.each === undefined ? [answer.fields] : (answer.fields.get(list.each) ?? []).map(readFields);
  const models = new Map<string, Model>();
  for (const item of items) {
    const name = item && list.names.map((field) => textOf(item, field)).find((text) => text);
    if (!item || !name || models.size >= LIMITS.MODELS_MAX) continue;
    const state = list.loaded && (textOf(item, list.loaded.field) ?? "");
    const loaded = list.loaded === undefined || regex(list.loaded.matches).test(state ?? "");
    const tidied = tidy(name, 200);
    models.set(tidied, { name: tidied, loaded: loaded || (models.get(tidied)?.loaded ?? false) });
  }
  return [...models.values()];
}

/**
 * Whether the server requires a credential. The result is `open` only if the server returned a model list
 * without a credential. Protected servers often leave health and metadata methods open too.
 */
export function grpcAuth(judgement: Judgement, answers: GrpcAnswers): "open" | "required" | "unknown" {
  const statuses = [...answers.values()].map(({ status }) => status);
  if (statuses.some((status) => status === UNAUTHENTICATED || status === PERMISSION_DENIED))
    return "required";
  const list = grpcModels(judgement);
  return list && answers.get(list.call)?.status === OK ? "open" : "unknown";
}
