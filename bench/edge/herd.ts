import { startDynamodb } from "../../local/dynamodb.ts";
import { edgeCommand } from "../../local/edge-command.ts";
import { freePort } from "../../local/free-port.ts";
import { edgeEnvironment, type Stack, startStack } from "../../local/stack.ts";
import { readArguments } from "../harness/arguments.ts";
import { CREDENTIALS, root, scratchFolder, startPart } from "../harness/backends.ts";
import { callAdmin } from "../harness/enrolled-agent.ts";
import { finish, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import { type Answers, changeHerd, enrolAssets, enrolHerd, policyHerd, verifyLog } from "../load/herd.ts";

/*
 * Sends concurrent requests of one tenant, first to one node, then to two nodes. The requests are enrolments
 * with one token, then changes by administrators. Each change updates the head of the custody log.
 *
 * The embedded DynamoDB runs one transaction at a time, so the durations describe this machine more than AWS.
 * The bench checks that no request fails and that every count is exact.
 */

const { json, numbers } = readArguments(
  "herd",
  "Concurrent enrolments with one token and changes by administrators, on one node and on two.",
  {
    hosts: {
      min: 10,
      max: 5000,
      default: 1000,
      says: "number of hosts that enrol at the same time with one token",
    },
    changes: { min: 10, max: 5000, default: 1000, says: "number of concurrent changes by administrators" },
  },
);

/** Number of enrolments above the token's limit. They are sent to check that the limit is exact. */
const BEYOND = 10;
const ISOLATIONS_MAX = 100;
const POLICY_CHANGES = 20;
const QUOTA = "10000000";

type Nodes = { stack: Stack; urls: string[]; errors: () => number; conflicts: () => number };

async function start(scope: Scope): Promise<Nodes> {
  let errors = 0;
  let conflicts = 0;
  const onLine = (stage: string, line: string) => {
    conflicts += Number(/"conflicts":(\d+)/.exec(line)?.[1] ?? 0);
    if (!/"level":"error"/.test(line)) return;
    errors++;
    if (errors <= 5) console.error(`${stage}: ${line.slice(0, 400)}`);
  };
  const folder = scratchFolder(scope);
  const environment = {
    LZ_ADMIN_PER_MINUTE: QUOTA,
    LZ_ENROLMENTS_PER_MINUTE: QUOTA,
    LZ_REFUSED_PER_MINUTE: QUOTA,
  };
  const port = await freePort();
  const database = await scope.start(
    () => startDynamodb(onLine),
    ({ stage }) => stage.stop(),
  );
  const stack = await scope.start(
    () =>
      startStack({
        ...{ root, folder, port, environment, workers: 0, onLine, onStep: () => {} },
        runtime: "bun",
        dynamodbEndpoint: database.endpoint,
      }),
    ({ stop }) => stop(),
  );
  const second = await secondNode(scope, stack, { folder: `${folder}/second`, environment, onLine });
  return { stack, urls: [stack.edgeUrl, second], errors: () => errors, conflicts: () => conflicts };
}

async function secondNode(
  scope: Scope,
  { secrets, issuer, edgeUrl, dynamodbEndpoint, queueUrl }: Stack,
  {
    folder,
    environment,
    onLine,
  }: { folder: string; environment: object; onLine: (stage: string, line: string) => void },
): Promise<string> {
  const port = await freePort();
  const shared = { ...CREDENTIALS, DYNAMODB_ENDPOINT: dynamodbEndpoint, SQS_QUEUE_URL: queueUrl };
  // Tokens issued by the stack are valid only for the address of its first edge, so the second edge uses the
  // same address.
  const env = { ...edgeEnvironment(secrets, issuer, edgeUrl, shared), ...environment };
  const { isReady, ...how } = await edgeCommand("bun", root, env, port, folder);
  await startPart(scope, { name: "second edge", ...how, cwd: root, onLine, isReady });
  return `http://127.0.0.1:${port}`;
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number }> {
  const startMs = performance.now();
  const value = await work();
  return { value, seconds: round((performance.now() - startMs) / 1000, 1) };
}

const successes = (answers: Answers): number => sum(answers, (name) => /^2\d\d$/.test(name));
const unavailable = (answers: Answers): number => sum(answers, (name) => name.startsWith("5"));
const sum = (answers: Answers, isMeant: (name: string) => boolean): number =>
  Object.entries(answers).reduce((total, [name, number]) => total + (isMeant(name) ? number : 0), 0);

/** Runs enrolments and changes on these nodes, then verifies the custody log. */
async function measure({ stack, errors, conflicts }: Nodes, nodes: readonly string[], name: string) {
  const errorsBefore = errors();
  const conflictsBefore = conflicts();
  const newToken = async (uses: number) =>
    ((await callAdmin(stack, "/v1/enrolment-tokens", { uses })) as { token: string }).token;
  const token = await newToken(numbers.hosts);
  const enrolled = await timed(() => enrolHerd(nodes, token, numbers.hosts + BEYOND));
  const isolated = Math.min(ISOLATIONS_MAX, Math.floor(numbers.changes / 4));
  const assetIds = await enrolAssets(nodes[0]!, await newToken(isolated), isolated);
  const herd = { nodes, adminToken: stack.adminToken, assetIds };
  const before = await verifyLog(nodes[0]!, stack.adminToken);
  const changed = await timed(() => changeHerd(herd, numbers.changes));
  const policy = await policyHerd(herd, POLICY_CHANGES);
  const after = await verifyLog(nodes[0]!, stack.adminToken);
  console.log(`${name}: enrolments ${JSON.stringify(enrolled.value)} in ${enrolled.seconds} s`);
  console.log(`${name}: changes ${JSON.stringify(changed.value)} in ${changed.seconds} s`);
  console.log(`${name}: policy ${JSON.stringify(policy)}; custody log ${after.fault ? "invalid" : "valid"}`);
  return {
    enrolled: enrolled.value["201"] ?? 0,
    enrolRefused: enrolled.value["409 enrolment.used-up"] ?? 0,
    enrolSeconds: enrolled.seconds,
    changed: successes(changed.value),
    changeSeconds: changed.seconds,
    policyChanged: successes(policy),
    unavailable: unavailable(enrolled.value) + unavailable(changed.value) + unavailable(policy),
    errors: errors() - errorsBefore,
    retries: conflicts() - conflictsBefore,
    custodyRecords: after.records - before.records,
    custodyFaults: after.fault ? 1 : 0,
  };
}

const result = await inScope(900, async (scope) => {
  const nodes = await start(scope);
  const oneNode = await measure(nodes, nodes.urls.slice(0, 1), "one node");
  const twoNodes = await measure(nodes, nodes.urls, "two nodes");
  return { hosts: numbers.hosts, changes: numbers.changes, oneNode, twoNodes };
});
finish(json, result);
process.exit(0);
