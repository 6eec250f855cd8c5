import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { messageOf } from "../shared/observability/error-message.ts";
import { parseArguments } from "./platform/arguments.ts";
import type { CommandName } from "./platform/commands.ts";
import type { Verb } from "./platform/deps.ts";
import { Failure, Misuse } from "./platform/faults.ts";

/** Each command is loaded when it is used, so that `lz token` does not wait for an AWS client to load. */
const VERBS: Record<CommandName, () => Promise<{ run: Verb }>> = {
  token: () => import("./keys/token.ts"),
  "enroll-token": () => import("./keys/enroll-token.ts"),
  assets: () => import("./assets/assets.ts"),
  "assets revoke": () => import("./assets/revoke.ts"),
  "assets expire": () => import("./assets/expire.ts"),
  "assets merge": () => import("./assets/merge.ts"),
  incidents: () => import("./policy/incidents.ts"),
  isolate: () => import("./containment/isolate.ts"),
  release: () => import("./containment/release.ts"),
  "release-code": () => import("./containment/release-code.ts"),
  "audit verify": () => import("./custody/audit-verify.ts"),
  "audit export": () => import("./custody/audit-export.ts"),
  "catalog sign": () => import("./keys/catalog-sign.ts"),
  simulate: () => import("./capacity/simulate.ts"),
  capacity: () => import("./capacity/capacity.ts"),
  "dlq list": () => import("./queue/dlq-list.ts"),
  "dlq replay": () => import("./queue/dlq-replay.ts"),
  "table sign": () => import("./keys/table-sign.ts"),
  "policy test": () => import("./policy/policy-test.ts"),
  keys: () => import("./keys/keys.ts"),
  rotate: () => import("./keys/rotate.ts"),
  doctor: () => import("./doctor/doctor.ts"),
};

/** Asks a question on stderr. Resolves to true if the person at the terminal types `yes`. */
async function askOnTerminal(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`${question} Type yes to continue: `)).trim() === "yes";
  } finally {
    terminal.close();
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(argv);
  if (parsed.is === "wrong") throw new Misuse(parsed.reason);
  if (parsed.is === "text") {
    console.log(parsed.text);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const { run } = await VERBS[parsed.name]();
  const outcome = await run(parsed, {
    clock: () => Date.now(),
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    env: process.env,
    root: resolve(import.meta.dir, ".."),
    fetch: (request) => fetch(request),
    note: (line) => console.error(line),
    stop: stop.signal,
    ...(process.stdin.isTTY && { confirm: askOnTerminal }),
  });
  if (parsed.flags.has("json")) console.log(JSON.stringify(outcome.json));
  else for (const line of outcome.lines) console.log(line);
  return outcome.code ?? 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Misuse || error instanceof Failure)) throw error;
  console.error(messageOf(error));
  process.exitCode = error instanceof Misuse ? 2 : 1;
}
