import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { parseJsonObject } from "../../shared/encoding/json-object.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { Arguments } from "../platform/arguments.ts";
import {
  type Connection,
  connectionOf,
  localControlJwks,
  openStack,
  type StackFile,
  stackPath,
} from "../platform/connect.ts";
import type { Deps, Verb } from "../platform/deps.ts";
import { Failure, Misuse } from "../platform/faults.ts";
import { openTable } from "../platform/open-table.ts";
import { checkQueues, checkTable } from "./aws.ts";
import { bad, type Check, good, note } from "./check.ts";
import { checkEdgeCredentials } from "./credentials.ts";
import { checkSignInKeys } from "./sign-in.ts";
import { checkSignatures } from "./signatures.ts";
import { checkVersions, readWorkerVersions } from "./versions.ts";
import { checkWorker } from "./worker.ts";

const PORT_DEFAULT = 8787;
const TIMEOUT_MS = 5000;
/** Maximum clock difference in seconds without a finding. The edge rejects heartbeats from a difference of 300 s. */
const SKEW_SECONDS_MAX = 30;
/** Maximum number of characters of the edge's version. */
const VERSION_MAX = 40;

export const run: Verb = async (args, deps) => {
  const isRemote = isElsewhere(args, deps);
  const checks = isRemote ? [checkBun()] : [...checkPrograms(), checkAgent(deps)];
  const stack = isRemote ? undefined : readStack(deps, checks);
  if (!isRemote) checks.push(await checkPort(deps, stack));
  const connection = whereTo(args, deps);
  let edgeVersion: string | undefined;
  if (connection)
    checks.push(
      ...(await checkEdge(connection, deps, (version) => {
        edgeVersion = version;
      })),
    );
  const endpoints = stack ?? endpointsOf(deps.env);
  if (endpoints) {
    checks.push(...(await checkTable(endpoints.dynamodbEndpoint, deps.env)));
    checks.push(...(await checkQueues(endpoints.sqsEndpoint, endpoints.queueUrl, deps.env)));
    checks.push(...(await tenantChecks(stack, edgeVersion, deps)));
  } else {
    checks.push(
      note("table and queue", "not checked", "set SQS_QUEUE_URL and AWS_REGION, or start a local stack"),
    );
  }
  const wrong = checks.filter(({ state }) => state === "not ok").length;
  const lines = checks.map(
    ({ name, state, found, advice }) =>
      `${state.padEnd(6)}  ${name}: ${found}${advice === undefined ? "" : `\n        → ${advice}`}`,
  );
  const summary = wrong === 0 ? "no faults found" : `${wrong} of ${checks.length} checks found a fault`;
  return { json: { ok: wrong === 0, checks }, lines: [...lines, "", summary], code: wrong === 0 ? 0 : 1 };
};

/**
 * True if a remote installation is named by its URL or by its queue. This machine itself is then not checked,
 * because a remote installation needs no local stack, agent or free port here.
 */
const isElsewhere = (args: Arguments, { env }: Pick<Deps, "env">): boolean =>
  [args.texts.url, env.LZ_URL, env.SQS_QUEUE_URL].some((named) => named !== undefined && named !== "");

/** Checks that read items of a tenant, which is the tenant of the local stack or LZ_TENANT. */
async function tenantChecks(
  stack: StackFile | undefined,
  edgeVersion: string | undefined,
  deps: Deps,
): Promise<Check[]> {
  const tenantId = stack?.tenantId ?? deps.env.LZ_TENANT;
  if (tenantId === undefined)
    return [note("worker and signatures", "not checked", "set LZ_TENANT to the id of a tenant")];
  const table = openTable(deps);
  const controlJwks = deps.env.LZ_CONTROL_JWKS ?? (stack && localControlJwks(deps));
  const env = { ...deps.env, ...(controlJwks !== undefined && { LZ_CONTROL_JWKS: controlJwks }) };
  try {
    return [
      await checkWorker(table, tenantId, deps),
      await checkSignatures(table, tenantId, { clock: deps.clock, env }),
      checkVersions(edgeVersion, await readWorkerVersions(table, tenantId)),
    ];
  } finally {
    table.close();
  }
}

/**
 * Endpoints from the environment, for an installation in AWS. Undefined if SQS_QUEUE_URL or AWS_REGION is
 * missing.
 */
function endpointsOf(env: Deps["env"]) {
  const { SQS_QUEUE_URL: queueUrl, AWS_REGION, DYNAMODB_ENDPOINT, SQS_ENDPOINT } = env;
  if (!queueUrl || !AWS_REGION) return undefined;
  return { queueUrl, dynamodbEndpoint: DYNAMODB_ENDPOINT, sqsEndpoint: SQS_ENDPOINT };
}

function whereTo(args: Arguments, deps: Deps) {
  try {
    return connectionOf(args, deps);
  } catch (error) {
    if (error instanceof Misuse) throw error;
    return undefined; // readStack() has reported the missing stack
  }
}

/** Files in npm packages that contain the programs of the local stack, by platform. */
export const PROGRAMS = {
  dynoxide: (platform: string, arch: string, suffix: string) => [
    `@dynoxide/${platform}-${arch}/dynoxide${suffix}`,
  ],
  deno: (platform: string, arch: string, suffix: string) => [
    `@deno/${platform}-${arch}-glibc/deno`,
    `@deno/${platform}-${arch}/deno${suffix}`,
  ],
} as const;

export function findProgram(name: keyof typeof PROGRAMS): string | undefined {
  const { platform, arch } = process;
  const require = createRequire(import.meta.url);
  for (const specifier of PROGRAMS[name](platform, arch, platform === "win32" ? ".exe" : "")) {
    try {
      return require.resolve(specifier);
    } catch {
      // This package is for another platform. Try the next one.
    }
  }
  return Bun.which(name) ?? undefined;
}

const BUN_WANTED = "1.4.5";

const checkBun = (): Check =>
  Bun.semver.satisfies(Bun.version, `>=${BUN_WANTED}`)
    ? good("bun", Bun.version)
    : bad("bun", Bun.version, `use ${BUN_WANTED} or newer: npx -y bun@${BUN_WANTED}`);

function checkPrograms(): Check[] {
  const advice = {
    dynoxide: "run bun install, put dynoxide on the PATH, or set DYNAMODB_ENDPOINT to a DynamoDB",
    deno: "run bun install, put deno on the PATH, or set LZ_EDGE_RUNTIME=bun",
  };
  const programs = (Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[]).map((name) =>
    findProgram(name) === undefined ? bad(name, "not found", advice[name]) : good(name, "found"),
  );
  return [checkBun(), ...programs];
}

function checkAgent({ root }: Deps): Check {
  const binary = join(root, "dist", process.platform === "win32" ? "lz-agent.exe" : "lz-agent");
  const advice = "compile it with bun run build:agent";
  if (!existsSync(binary)) return bad("agent", "dist/lz-agent does not exist", advice);
  const ran = Bun.spawnSync([binary, "--version"], { stdout: "pipe", stderr: "pipe", timeout: TIMEOUT_MS });
  if (!ran.success) return bad("agent", `dist/lz-agent --version exits with ${ran.exitCode}`, advice);
  return good("agent", ran.stdout.toString().trim().slice(0, 80));
}

function readStack(deps: Deps, checks: Check[]): StackFile | undefined {
  try {
    const stack = openStack(deps);
    const isShared = process.platform !== "win32" && (statSync(stackPath(deps)).mode & 0o077) !== 0;
    checks.push(
      isShared
        ? bad("stack.json", "other users of this machine can read it, and it holds tokens", "chmod 600 it")
        : good("stack.json", "only its owner can read it"),
    );
    return stack;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    checks.push(bad("stack.json", "no local stack was found", "start one with bun run start"));
    return undefined;
  }
}

async function checkPort({ env }: Deps, stack: StackFile | undefined): Promise<Check> {
  const port = Number(stack ? new URL(stack.edgeUrl).port : (env.LZ_PORT ?? PORT_DEFAULT));
  const isFree = await new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
  if (!stack) {
    return isFree
      ? good("port", `${port} is free`)
      : bad("port", `${port} is in use`, "stop the program that uses it, or set LZ_PORT");
  }
  return isFree
    ? bad("port", `nothing listens on ${port}, the edge port in stack.json`, "start it with bun run start")
    : good("port", `${port} is in use, as expected`);
}

/** Checks the edge by its responses. A status code alone proves nothing: each body must be the edge's JSON. */
export async function checkEdge(
  { url, token }: Connection,
  deps: Pick<Deps, "fetch" | "clock">,
  /** Called with the edge's version, which the edge sends to authenticated callers only. */
  onVersion: (version: string) => void = () => {},
): Promise<Check[]> {
  const ask = (path: string, headers: Record<string, string> = {}) =>
    deps
      .fetch(
        new Request(`${url}${path}`, { headers, redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) }),
      )
      .catch(() => undefined);
  const health = await ask("/healthz");
  if (health?.status !== 200) {
    return [
      bad("edge", `${url} does not respond`, "start it with bun run start, and read the log of its edge"),
    ];
  }
  if ((await objectOf(health)).status !== "ok") {
    const advice = "check the URL: a proxy or a captive portal may respond in its place";
    return [bad("edge", `${url} responds, but not like LifecycleZero`, advice)];
  }
  const checks = [good("edge", `${url} responds`), checkClock(health, deps)];
  const ready = await ask("/readyz/admin");
  const readiness = await objectOf(ready);
  checks.push(
    ready?.status === 200 && readiness.status === "ready"
      ? good("edge ready", "it can reach the table")
      : bad(
          "edge ready",
          `/readyz/admin responds ${ready?.status ?? "nothing"}`,
          "see the table check below",
        ),
    checkSignInKeys(readiness),
    ...checkEdgeCredentials(readiness),
  );
  if (readiness.fairQueues === "refused") {
    const found = "the queue rejects message groups, so one busy tenant can delay the others";
    checks.push(
      note("fair queues", found, "use Amazon SQS, or ElasticMQ 1.6.14 or newer, and restart the edge"),
    );
  }
  const me = await ask("/v1/me", { authorization: `Bearer ${token}` });
  const caller = await objectOf(me);
  if (typeof caller.version === "string") onVersion(tidy(caller.version, VERSION_MAX));
  checks.push(
    me?.status === 200 && typeof caller.tenantId === "string"
      ? good("session", "the token is accepted")
      : bad(
          "session",
          `the token is rejected (${me?.status ?? "no response"})`,
          "sessions expire: run bun run start again, or sign in",
        ),
  );
  return checks;
}

/** The JSON object in a response. Empty for any other body, and if there is no response. */
const objectOf = async (answer: Response | undefined): Promise<Record<string, unknown>> =>
  parseJsonObject((await answer?.text().catch(() => "")) ?? "") ?? {};

function checkClock(answer: Response, deps: Pick<Deps, "clock">): Check {
  const theirs = Date.parse(answer.headers.get("date") ?? "");
  if (!Number.isFinite(theirs)) return note("clock", "the edge sends no Date header");
  const skewSeconds = Math.round(Math.abs(deps.clock() - theirs) / 1000);
  return skewSeconds <= SKEW_SECONDS_MAX
    ? good("clock", `within ${skewSeconds} s of the edge`)
    : bad(
        "clock",
        `differs from the edge by ${skewSeconds} s`,
        "set the time: the edge rejects heartbeats from 300 s",
      );
}
