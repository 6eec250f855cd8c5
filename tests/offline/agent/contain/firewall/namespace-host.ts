import { createConnection, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { hostProcesses, linuxEnforcers } from "../../../../../agent/contain/platform/linux.ts";
import { proxyFor } from "../../../../../agent/network/proxy.ts";
import { silent } from "../../../../../agent/platform/log.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import { sleep } from "../../../../../shared/time/sleep.ts";
import type { Engine } from "../../../../../shared/wire/heartbeat.ts";

/**
 * Runs inside the contained host of the namespace test, with the real enforcers. Each line on stdin is a
 * command. Prints one JSON line to stdout for each command.
 */
const [edgeUrl, directory, enginePid, enginePort, engineStartedAt] = process.argv.slice(2) as [
  string,
  string,
  string?,
  string?,
  string?,
];
const signal = new AbortController().signal;
const engine: Partial<Engine> = {
  kind: "inference-engine",
  pid: Number(enginePid),
  ports: [Number(enginePort)],
  bind: ["0.0.0.0"],
  user: "root",
};
const born = hostProcesses().find(({ pid }) => pid === engine.pid)?.startedAtMs;
const startedAt = engineStartedAt ?? (born === undefined ? undefined : timestamp(born));
if (startedAt !== undefined) engine.processStartedAt = startedAt;
const chosen = proxyFor({}, process.env, edgeUrl);
if (!chosen.ok) throw new Error(chosen.reason);
const enforcers = linuxEnforcers({
  directory,
  edgeUrl,
  proxy: chosen.proxy,
  selfPid: process.pid,
  engines: () => (enginePid ? [engine as Engine] : []),
  reach: async () => {
    try {
      return (await fetch(`${edgeUrl}/healthz`, { keepalive: false, signal: AbortSignal.timeout(1000) })).ok;
    } catch {
      return false;
    }
  },
  sleep,
  elapsed: () => performance.now(),
  log: silent,
  scanSoon: () => {},
});

const open = new Map<string, Socket>();

/** True if the connection to this address is open and echoes a byte. */
function echo(address: string): Promise<boolean> {
  const socket = open.get(address)!;
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 1500);
    const end = (result: boolean) => (): void => {
      clearTimeout(timer);
      resolve(result);
    };
    socket.once("data", end(true)).once("error", end(false)).once("close", end(false));
    socket.write("x");
  });
}

const verbs: Record<string, (argument: string) => Promise<unknown>> = {
  open: (address) =>
    new Promise((resolve) => {
      const socket = createConnection({ host: address, port: 9000 }, () => resolve(true));
      socket.on("error", () => resolve(false));
      open.set(address, socket);
    }),
  echo,
};
for (const mode of ["network", "stop-engines"] as const) {
  for (const verb of ["apply", "reassert", "release"] as const) {
    verbs[`${verb}:${mode}`] = () => enforcers[mode][verb]({ generation: 1, mode, wasInForce: true }, signal);
  }
}
for (const verb of ["apply", "reassert", "release"] as const) {
  const order = {
    generation: 1,
    mode: "stop-engines",
    wasInForce: true,
    stopEnginesBy: "terminate",
  } as const;
  verbs[`${verb}:terminate`] = () => enforcers["stop-engines"][verb](order, signal);
}

for await (const line of createInterface({ input: process.stdin })) {
  const [verb = "", argument = ""] = line.split(" ");
  console.log(JSON.stringify((await verbs[verb]?.(argument)) ?? null));
}
process.exit(0);
