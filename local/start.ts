import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { uptime } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Command } from "../shared/command-line/options.ts";
import { readProcessArguments } from "../shared/command-line/read-process-arguments.ts";
import { messageOf } from "../shared/observability/error-message.ts";
import { MissingBinary } from "./binaries.ts";
import { RUNTIMES, type RuntimeName, runtimePath } from "./edge-command.ts";
import { formatLine } from "./format-line.ts";
import { isPortFree } from "./free-port.ts";
import { removeProcessList, runningProcesses, stopCommand, writeProcessList } from "./process-list.ts";
import { countMessages, readQueueBackup } from "./queue-backup.ts";
import { QUEUE_NAME } from "./sqs.ts";
import { queueFileIn, type Stack, startStack } from "./stack.ts";
import { STOP_GRACE_MS, type Stage, startStage } from "./stage.ts";

const COMMAND: Command = {
  summary:
    "start LifecycleZero on this machine: DynamoDB, SQS, edge, worker, and an agent that scans this host",
  options: {},
  tables: [
    {
      title: "Environment variables:",
      rows: {
        LZ_PORT: "port of the edge and the dashboard (default 8787)",
        LZ_EDGE_RUNTIME: "deno (default), bun or workerd",
        LZ_LOCAL_DIR: "folder for data and secrets (default .local)",
        DYNAMODB_ENDPOINT: "URL of an existing DynamoDB to use instead of the embedded one",
      },
    },
  ],
};

const PORT_DEFAULT = 8787;
/** Signals within this time after the first one come from the same Ctrl-C. */
const REPEATED_SIGNAL_MS = 500;
const root = resolve(import.meta.dir, "..");

function fail(text: string): never {
  console.error(text);
  process.exit(2);
}

function readOptions() {
  readProcessArguments("bun run start", COMMAND);
  const { env } = process;
  const port = Number(env.LZ_PORT ?? PORT_DEFAULT);
  if (!Number.isInteger(port) || port < 1 || port > 65535) fail("LZ_PORT must be a port, 1 to 65535");
  const runtime = (env.LZ_EDGE_RUNTIME ?? "deno") as RuntimeName;
  if (!RUNTIMES.includes(runtime)) fail(`LZ_EDGE_RUNTIME must be one of ${RUNTIMES.join(", ")}`);
  return { port, runtime, folder: resolve(root, env.LZ_LOCAL_DIR ?? ".local") };
}

const startedAt = performance.now();
const step = (text: string) =>
  console.log(`  ✓ ${text}  (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);

/** Compiles the agent if its sources changed, enrols it and runs it, with the same commands as a user. */
async function startAgent(stack: Stack, folder: string, onLine: (stage: string, line: string) => void) {
  const built = Bun.spawnSync([process.execPath, join(root, "tools/build-agent.ts")], {
    cwd: root,
    stderr: "pipe",
  });
  if (!built.success) throw new Error(`the agent cannot be compiled:\n${built.stderr.toString()}`);
  step("agent compiled to dist/lz-agent");
  const binary = join(root, "dist", process.platform === "win32" ? "lz-agent.exe" : "lz-agent");
  const state = join(folder, "agent");
  const identity = join(state, "identity.json");
  if (existsSync(identity)) pointAt(identity, stack.edgeUrl);
  else await enrol(binary, state, stack);
  const agent = await startStage({
    name: "agent",
    command: [binary, "run", "--state", state],
    env: agentEnvironment(),
    cwd: root,
    onLine,
    isReady: () => true,
  });
  stack.add(agent);
  step("agent scans this host");
  return agent;
}

/** Updates the URL of the edge in the identity file, because the port can differ from the last start. */
function pointAt(identityFile: string, edgeUrl: string): void {
  const identity = JSON.parse(readFileSync(identityFile, "utf8"));
  if (identity.edgeUrl === edgeUrl) return;
  writeFileSync(identityFile, JSON.stringify({ ...identity, edgeUrl }), { mode: 0o600 });
}

/** Environment for the agent. It has the paths and locale of this process, but not the secrets. */
const agentEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "USERPROFILE", "SystemRoot", "ProgramData"].flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name]]],
    ),
  );

async function enrol(binary: string, state: string, stack: Stack): Promise<void> {
  const answer = await fetch(`${stack.edgeUrl}/v1/enrolment-tokens`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${stack.adminToken}`,
      "content-type": "application/json",
      "idempotency-key": crypto.randomUUID(),
    },
    body: JSON.stringify({ uses: 1, hours: 1 }),
  });
  if (!answer.ok)
    throw new Error(`the edge rejected the request for an enrolment token with ${answer.status}`);
  const { token } = (await answer.json()) as { token: string };
  const enrolled = Bun.spawnSync([binary, "enroll", "--url", stack.edgeUrl, "--state", state], {
    env: { ...agentEnvironment(), LZ_ENROLL_TOKEN: token },
    stdout: "pipe",
    stderr: "pipe",
  });
  if (!enrolled.success) throw new Error(`the agent could not enrol: ${enrolled.stderr.toString().trim()}`);
  step("agent enrolled with a one-time token");
}

/** Writes stack.json for scripts. The file contains tokens, so only the owner can read it. */
function writeStackFile(folder: string, stack: Stack): void {
  const { edgeUrl, tenantId, adminToken, viewerToken, dynamodbEndpoint, sqsEndpoint, queueUrl } = stack;
  const file = join(folder, "stack.json");
  mkdirSync(dirname(file), { recursive: true });
  const content = { edgeUrl, tenantId, adminToken, viewerToken, dynamodbEndpoint, sqsEndpoint, queueUrl };
  writeFileSync(file, JSON.stringify(content, undefined, 2), { mode: 0o600 });
  chmodSync(file, 0o600);
}

function announce(stack: Stack, runtime: string): void {
  console.log(`
  LifecycleZero is up. The edge runs on ${runtime}.

    Dashboard   ${stack.edgeUrl}/
    Sign in     ${stack.issuer.signInLink(`${stack.edgeUrl}/`)}

  Start any local AI on this machine, and the dashboard shows it. Ctrl-C stops all parts and keeps the data.
`);
}

async function main(): Promise<void> {
  const { port, runtime, folder } = readOptions();
  checkRuntime(runtime);
  const processList = join(folder, "pids");
  const running = runningProcesses(processList, Date.now() - uptime() * 1000);
  if (running.length > 0)
    fail(`${folder} is in use by an earlier start: stop it with ${stopCommand(process.platform, running)}`);
  if (!(await isPortFree(port)))
    fail(`port ${port} is in use: stop the program that uses it, or set LZ_PORT`);
  const onLine = (stage: string, line: string) => {
    const text = formatLine(stage, line);
    if (text) console.log(text);
  };
  console.log("Starting LifecycleZero");
  let stack: Stack | undefined;
  const interrupted = firstSignal();
  try {
    const dynamodbEndpoint = process.env.DYNAMODB_ENDPOINT;
    stack = await startStack({ root, folder, port, runtime, dynamodbEndpoint, onLine, onStep: step });
    await startAgent(stack, folder, onLine);
    writeStackFile(folder, stack);
    writeProcessList(processList, [process.pid, ...[...stack.stages.values()].map(({ pid }) => pid)]);
    announce(stack, runtime);
    const ended = await Promise.race([interrupted, firstEnd(stack.stages.values())]);
    if (ended)
      console.error(`${ended.name} ended unexpectedly with code ${ended.code}: stopping the other parts`);
    process.exitCode = ended ? 1 : 0;
  } catch (error) {
    console.error(`cannot start: ${messageOf(error, String(error))}`);
    process.exitCode = 1;
  }
  if (stack) await stopStack(stack, folder);
  removeProcessList(processList);
  process.exit();
}

/** Checks the runtime before any part is started, so that no part must be stopped if the runtime is missing. */
function checkRuntime(runtime: RuntimeName): void {
  try {
    runtimePath(runtime);
  } catch (error) {
    if (!(error instanceof MissingBinary)) throw error;
    fail(`cannot start: ${error.message}`);
  }
}

/**
 * Resolves at the first signal. One Ctrl-C can arrive several times, because npx and bun forward it. A later
 * signal does not shorten the shutdown, during which the queue saves acknowledged heartbeats.
 */
function firstSignal(): Promise<void> {
  let stoppingSince: number | undefined;
  return new Promise((resolve) => {
    const onSignal = () => {
      const now = performance.now();
      if (stoppingSince === undefined) resolve();
      else if (now - stoppingSince > REPEATED_SIGNAL_MS)
        console.log(`Already stopping: each part stops within ${STOP_GRACE_MS / 1000} s`);
      stoppingSince ??= now;
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  });
}

async function stopStack(stack: Stack, folder: string): Promise<void> {
  console.log("Stopping");
  await stack.stop();
  const waiting = countMessages(readQueueBackup(queueFileIn(folder)), QUEUE_NAME);
  if (waiting > 0)
    console.log(
      `${waiting} queue messages with heartbeats are not recorded yet: the next start records them`,
    );
  console.log("Stopped: no part is running");
}

function firstEnd(stages: Iterable<Stage>): Promise<{ name: string; code: number }> {
  return Promise.race([...stages].map(async ({ name, exited }) => ({ name, code: await exited })));
}

await main();
