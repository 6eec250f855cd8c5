import { join } from "node:path";
import { edgeCommand, type RuntimeName } from "../../../local/edge-command.ts";
import { freePort } from "../../../local/free-port.ts";
import { type Stack, startWorker } from "../../../local/stack.ts";
import { startStage } from "../../../local/stage.ts";
import type { NodeKind } from "../iam/deployed-policies.ts";
import { accessKeyOf, type Guard, startGuard } from "../iam/guard.ts";
import { makeRoleKeys, roleEnvironments } from "./role-environment.ts";

type How = {
  root: string;
  folder: string;
  runtime: RuntimeName;
  workers: number;
  /** Extra environment variables for the edge and the worker. `edgeEnvironment` applies to the edge only. */
  environment: Record<string, string>;
  edgeEnvironment: Record<string, string>;
  onLine: (stage: string, line: string) => void;
};

export type Split = {
  guard: Guard;
  /** The environment of each kind of node: its secrets, and an access key that selects its policy. */
  environments: Record<NodeKind, Record<string, string>>;
  stop: () => Promise<void>;
};

/**
 * Replaces the edge and the workers of a running stack by one node of each kind. Each node reaches DynamoDB
 * and SQS through a guard that enforces the policy of the node in deploy/aws.yaml. A router listens at the
 * address of the stack, as a load balancer would.
 */
export async function splitRoles(stack: Stack, how: How): Promise<Split> {
  const { root, folder, runtime, onLine } = how;
  const guard = startGuard(stack);
  const keys = await makeRoleKeys();
  const atGuard = (url: string) => guard.url + new URL(url).pathname;
  const aws = {
    ...how.environment,
    AWS_REGION: "us-east-1",
    AWS_SECRET_ACCESS_KEY: "local",
    DYNAMODB_ENDPOINT: guard.url,
    SQS_QUEUE_URL: atGuard(stack.queueUrl),
  };
  const edges = roleEnvironments(stack.secrets, keys, stack.edgeUrl, stack.issuer, {
    ...aws,
    ...how.edgeEnvironment,
    LZ_PUBLIC_ORIGIN: stack.edgeUrl,
  });
  const withKey = (node: NodeKind, environment: Record<string, string>) => ({
    ...environment,
    AWS_ACCESS_KEY_ID: accessKeyOf(node),
  });
  const environments: Split["environments"] = {
    ingest: withKey("ingest", edges.ingest),
    enrol: withKey("enrol", edges.enrol),
    admin: withKey("admin", edges.admin),
    worker: withKey("worker", {
      ...stack.workerEnv,
      ...aws,
      SQS_DLQ_URL: atGuard(stack.deadLetterUrl),
      SQS_ENDPOINT: guard.url,
      LZ_ENROL_JWKS: keys.enrolJwks,
    }),
  };
  await stack.stages.get("edge")!.stop();
  const startEdge = async (node: "ingest" | "enrol" | "admin"): Promise<[NodeKind, string]> => {
    const port = await freePort();
    const scratch = join(folder, node);
    const { isReady, ...command } = await edgeCommand(runtime, root, environments[node], port, scratch);
    stack.add(await startStage({ name: `edge-${node}`, ...command, cwd: root, onLine, isReady }));
    const url = `http://127.0.0.1:${port}`;
    await untilReady(url);
    return [node, url];
  };
  const [urls] = await Promise.all([
    Promise.all((["ingest", "enrol", "admin"] as const).map(startEdge)),
    ...Array.from({ length: how.workers }, async (_, index) =>
      stack.add(await startWorker({ root, onLine }, environments.worker, index + 1)),
    ),
  ]);
  const router = startRouter(Number(new URL(stack.edgeUrl).port), new Map(urls));
  return {
    guard,
    environments,
    async stop() {
      await router.stop(true);
      await stack.stop();
      await guard.stop();
    },
  };
}

/** Waits until a node reports ready. A load balancer sends no requests to a node before that. */
async function untilReady(url: string): Promise<void> {
  const { status } = await fetch(`${url}/readyz`);
  if (status !== 200) throw new Error(`${url} is not ready: it answered ${status}`);
}

const INGEST_PATHS = ["/v1/heartbeats", "/v1/session", "/v1/directive", "/v1/catalog"];

/** Starts a router that sends each request to the node that serves its path. */
function startRouter(port: number, urls: ReadonlyMap<NodeKind, string>): Bun.Server<undefined> {
  const send = (request: Request, node: NodeKind, body: ArrayBuffer | undefined): Promise<Response> => {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.delete("connection");
    return fetch(`${urls.get(node)}${pathname}${search}`, {
      method: request.method,
      headers,
      ...(body && { body }),
      redirect: "manual",
      decompress: false,
      signal: request.signal,
    });
  };
  return Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 120,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const body = ["GET", "HEAD"].includes(request.method) ? undefined : await request.arrayBuffer();
      if (INGEST_PATHS.includes(pathname)) return send(request, "ingest", body);
      if (pathname !== "/v1/enroll") return send(request, "admin", body);
      const enrolled = await send(request, "enrol", body);
      if (enrolled.status !== 403) return enrolled;
      const { code } = (await enrolled.clone().json()) as { code?: string };
      return code === "enrolment.needs-control-key" ? send(request, "admin", body) : enrolled;
    },
  });
}
