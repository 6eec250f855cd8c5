import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../local/free-port.ts";
import type { AuditItem } from "../../shared/table/items/custody.ts";
import { type Running, startMappedWeights, startOllamaShaped } from "../support/programs/engines.ts";
import { eventually, ROOT } from "../support/stack.ts";

/** A running `bun run start` as its user sees it: a process, a port, and `stack.json`. */
type Started = {
  child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  output: () => string;
  stack: { edgeUrl: string; sqsEndpoint: string; tenantId: string; adminToken: string; viewerToken: string };
};

type Host = {
  assetId: string;
  hostname: string;
  status: string;
  generation: number;
  containment: { state: string };
  presence?: { engines: { id: string }[]; models: string[]; lastSeenAt: string };
};

const HEARTBEAT_MS = 5000;
/** Maximum time of two heartbeats with jitter, plus the latency of the pipeline. */
const TWO_HEARTBEATS_MS = 2 * HEARTBEAT_MS * 1.1 + 2000;

async function start(folder: string, port: number, runtime: string): Promise<Started> {
  const child = Bun.spawn([process.execPath, "local/start.ts"], {
    cwd: ROOT,
    env: { ...process.env, LZ_PORT: String(port), LZ_LOCAL_DIR: folder, LZ_EDGE_RUNTIME: runtime },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const chunk of stream) output += new TextDecoder().decode(chunk);
    })();
  }
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`start ended with ${child.exitCode}:\n${output}`);
    return output.includes("LifecycleZero is up");
  }, 60_000);
  return { child, output: () => output, stack: JSON.parse(readFileSync(join(folder, "stack.json"), "utf8")) };
}

function childOf(parent: number, script: string): number {
  const { stdout } = Bun.spawnSync(["ps", "-eo", "pid,ppid,args"]);
  const lines = stdout.toString().split("\n");
  const line = lines.find((one) => one.trim().split(/\s+/)[1] === String(parent) && one.includes(script));
  if (line === undefined) throw new Error(`process ${parent} has no child that runs ${script}`);
  return Number(line.trim().split(/\s+/)[0]);
}

const isRunning = (pid: string): boolean =>
  Bun.spawnSync(["ps", "-o", "stat=", "-p", pid]).stdout.toString().trim() !== "";

/**
 * Returns the processes with this directory on their command line. These are the processes of the stack that
 * store data in the directory.
 */
function processesOf(folder: string): string[] {
  const { stdout } = Bun.spawnSync(["ps", "-eo", "pid,args"]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line.includes(folder) && !line.includes("ps -eo"));
}

describe("bun run start", () => {
  const folder = mkdtempSync(join(tmpdir(), "lz-e2e-"));
  const running: Running[] = [];
  let port: number;
  let started: Started;
  beforeAll(async () => {
    port = await freePort();
    started = await start(folder, port, "deno");
  }, 90_000);
  afterAll(async () => {
    for (const engine of running) await engine.stop();
    started?.child.kill("SIGTERM");
    await started?.child.exited;
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const api = async <T>(path: string, method = "GET", body?: object, key?: string): Promise<T> => {
    const answer = await fetch(`${started.stack.edgeUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${started.stack.adminToken}`,
        ...(body && { "content-type": "application/json" }),
        ...(key && { "idempotency-key": key }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    return (await answer.json()) as T;
  };
  const host = async () => (await api<{ items: Host[] }>("/v1/assets")).items[0];
  const found = (id: string) => async () =>
    (await host())?.presence?.engines.some((engine) => engine.id === id);
  const state = async () => (await host())?.containment.state;

  test("enrols this host, and the first heartbeat is recorded", async () => {
    const seen = await eventually(async () => {
      const first = await host();
      return first?.presence ? first : undefined;
    }, 20_000);
    expect(seen.hostname.length).toBeGreaterThan(0);
    expect((await api<{ items: Host[] }>("/v1/assets")).items).toHaveLength(1);
  }, 30_000);

  test("prints a sign-in link that opens the dashboard, and shows no page without it", async () => {
    const link = /Sign in\s+(\S+)/.exec(started.output())![1]!;
    const redirected = await fetch(link, { redirect: "manual" });
    const cookie = redirected.headers.get("set-cookie")!;
    expect(cookie).toContain("HttpOnly");
    const page = await fetch(`${redirected.headers.get("location")}assets`, {
      headers: { cookie: cookie.split(";")[0]! },
    });
    expect(page.status).toBe(200);
    expect(await page.text()).toContain((await host())!.hostname);
    const stranger = await fetch(`${started.stack.edgeUrl}/`, { redirect: "manual" });
    expect(stranger.status).toBe(302);
    expect((await fetch(link.replace(/code=[^&]+/, "code=guess"), { redirect: "manual" })).status).toBe(403);
  });

  test("protects tokens and keys from other users of this machine", () => {
    for (const file of ["stack.json", "secrets.json", "agent/device-key.json"]) {
      expect(statSync(join(folder, file)).mode & 0o077).toBe(0);
    }
  });

  // A server that listens on all addresses also responds at 127.0.0.2. A server on 127.0.0.1 does not.
  test("listens on 127.0.0.1 only, in all of its parts", async () => {
    const ports = new Set(
      [...started.output().matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map(([, at]) => at!),
    );
    const answersAt = async (address: string, at: string): Promise<boolean> =>
      fetch(`http://${address}:${at}/`, { redirect: "manual" }).then(
        () => true,
        () => false,
      );
    // The four ports belong to the database, the queue, the edge and the identity provider.
    expect(ports.size).toBe(4);
    for (const at of ports) {
      expect([at, await answersAt("127.0.0.1", at)]).toEqual([at, true]);
      expect([at, await answersAt("127.0.0.2", at)]).toEqual([at, false]);
    }
  });

  test("shows an Ollama-like server on another port, and weights in an unrelated process, within two heartbeats", async () => {
    const startedAt = performance.now();
    const ollama = await startOllamaShaped();
    running.push(ollama, await startMappedWeights("holiday-photos.dat", "Quiet Llama"));
    await eventually(found("ollama"), TWO_HEARTBEATS_MS);
    await eventually(found("unknown-weights"), TWO_HEARTBEATS_MS);
    console.log(
      `both engines shown ${((performance.now() - startedAt) / 1000).toFixed(1)} s after their start`,
    );
    const { assetId, presence } = (await host())!;
    expect(presence!.models).toEqual(
      expect.arrayContaining(["llama3.2:3b", expect.stringContaining("Quiet Llama")]),
    );
    const timeline = await api<{ items: { engines: { id: string; ports: number[] }[] }[] }>(
      `/v1/assets/${assetId}/timeline`,
    );
    const engine = timeline.items[0]!.engines.find((candidate) => candidate.id === "ollama");
    expect(engine?.ports).toEqual([ollama.port]);
    const open = await api<{ items: { rule: string }[] }>("/v1/incidents?risk=WARNING");
    // The incident becomes CRITICAL only if the weights stay mapped, because a backup also reads model files.
    expect(open.items.map((incident) => incident.rule)).toContain("reads-model-files");
  }, 60_000);

  test("sends an isolation and a release to the agent, which proves both, with exactly one custody record each", async () => {
    const { assetId } = (await host())!;
    const body = { mode: "observe", justification: "weights nobody knows" };
    const isolated = await api<Host>(`/v1/assets/${assetId}/isolate`, "POST", body, "e2e-isolate-1");
    expect(isolated).toMatchObject({ status: "ISOLATED", containment: { state: "pending" } });
    await eventually(async () => (await state()) === "acknowledged", TWO_HEARTBEATS_MS);
    const again = await api<{ status: number }>(
      `/v1/assets/${assetId}/isolate`,
      "POST",
      body,
      "e2e-isolate-2",
    );
    expect(again.status).toBe(409);
    const release = { justification: "it was a test" };
    const released = await api<Host>(`/v1/assets/${assetId}/release`, "POST", release, "e2e-release-1");
    expect(released).toMatchObject({ status: "ACTIVE", containment: { state: "releasing" } });
    await eventually(async () => (await state()) === "active", TWO_HEARTBEATS_MS);
    const { items } = await api<{ items: AuditItem[] }>(`/v1/assets/${assetId}/custody`);
    expect(items.map(({ action, before, after }) => [action, before, after])).toEqual([
      ["release", "ISOLATED", "ACTIVE"],
      ["isolate", "ACTIVE", "ISOLATED"],
    ]);
  }, 60_000);

  test("prints one clear line if a port is in use, also for a second stack", async () => {
    const other = Bun.spawnSync([process.execPath, "local/start.ts"], {
      cwd: ROOT,
      env: { ...process.env, LZ_PORT: String(port), LZ_LOCAL_DIR: join(folder, "other") },
    });
    expect(other.exitCode).toBe(2);
    expect(other.stderr.toString()).toBe(
      `port ${port} is in use: stop the program that uses it, or set LZ_PORT\n`,
    );
    expect(existsSync(join(folder, "other"))).toBe(false);
  });

  test("stops every process after Ctrl-C is pressed twice, and a second start on another port keeps the host and its history", async () => {
    const before = (await host())!;
    started.child.kill("SIGINT");
    await Bun.sleep(600); // Pause between two key presses.
    for (let times = 0; times < 3; times++) started.child.kill("SIGINT");
    expect(await started.child.exited).toBe(0);
    expect(started.output()).toContain("no part is running");
    // Lines that the runtime itself prints, such as warnings, have no log level.
    expect(started.output().match(/^(?:edge|worker) +(?! |info |warn |error ).*$/gm)).toBeNull();
    expect(processesOf(folder)).toEqual([]);
    port = await freePort();
    started = await start(folder, port, "bun");
    const after = (await host())!;
    expect(after.assetId).toBe(before.assetId);
    expect((await api<{ items: AuditItem[] }>(`/v1/assets/${after.assetId}/custody`)).items).toHaveLength(2);
    await eventually(async () => (await host())!.presence!.lastSeenAt > before.presence!.lastSeenAt, 20_000);
    expect((await api<{ items: Host[] }>("/v1/assets")).items).toHaveLength(1);
  }, 120_000);

  test("prints the number of waiting messages after SIGTERM, and the next start processes them", async () => {
    const { pid } = started.child;
    // While the worker is stopped, heartbeats are acknowledged and stay in the queue.
    process.kill(childOf(pid, "worker/main.ts"), "SIGSTOP");
    const waiting = async () => {
      const answer = await fetch(`${started.stack.sqsEndpoint}/_fauxqs/queues`);
      const [queue] = ((await answer.json()) as { name: string; [count: string]: unknown }[]).filter(
        ({ name }) => name === "lifecyclezero-heartbeats",
      );
      return Number(queue!.approximateMessageCount) + Number(queue!.approximateInflightCount);
    };
    await eventually(async () => (await waiting()) > 0, TWO_HEARTBEATS_MS);
    started.child.kill("SIGTERM");
    expect(await started.child.exited).toBe(0);
    const [, count] = /(\d+) queue messages with heartbeats are not recorded yet/.exec(started.output())!;
    expect(Number(count)).toBeGreaterThan(0);
    expect(processesOf(folder)).toEqual([]);
    started = await start(folder, port, "bun");
    expect(started.output()).toContain(
      `queue with its dead-letter queue, ${count} messages from the last run`,
    );
  }, 120_000);

  test("names a command that stops the remaining processes when started after SIGKILL, and that command works", async () => {
    started.child.kill("SIGKILL");
    await started.child.exited;
    const again = () =>
      Bun.spawnSync([process.execPath, "local/start.ts"], {
        cwd: ROOT,
        env: { ...process.env, LZ_PORT: String(port), LZ_LOCAL_DIR: folder },
      });
    const refused = again();
    const [, command] = /^.* is in use by an earlier start: stop it with (kill [\d ]+)\n$/.exec(
      refused.stderr.toString(),
    )!;
    expect(refused.exitCode).toBe(2);
    expect(Bun.spawnSync(command!.split(" ")).exitCode).toBe(0);
    for (const pid of command!.split(" ").slice(1)) await eventually(async () => !isRunning(pid), 20_000);
    expect(processesOf(folder)).toEqual([]);
    started = await start(folder, port, "bun");
  }, 120_000);
});

describe("bun run start with wrong arguments", () => {
  const cases: [string, Record<string, string>, string[], string][] = [
    [
      "an unknown argument",
      {},
      ["--nonsense"],
      "bun run start: unknown option --nonsense; see bun run start --help\n",
    ],
    ["an invalid port", { LZ_PORT: "x" }, [], "LZ_PORT must be a port, 1 to 65535\n"],
    [
      "an unknown runtime",
      { LZ_EDGE_RUNTIME: "node" },
      [],
      "LZ_EDGE_RUNTIME must be one of deno, bun, workerd\n",
    ],
  ];
  for (const [what, env, args, line] of cases) {
    test(`${what} prints one clear line and exits with code 2`, () => {
      const run = Bun.spawnSync([process.execPath, "local/start.ts", ...args], {
        cwd: ROOT,
        env: { ...process.env, ...env },
      });
      expect([run.exitCode, run.stderr.toString()]).toEqual([2, line]);
    });
  }
  test("--help lists the settings", () => {
    const run = Bun.spawnSync([process.execPath, "local/start.ts", "--help"], { cwd: ROOT });
    expect([run.exitCode, run.stdout.toString().includes("LZ_EDGE_RUNTIME")]).toEqual([0, true]);
  });

  test("a port that another program uses is reported in one line", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const run = Bun.spawnSync([process.execPath, "local/start.ts"], {
      cwd: ROOT,
      env: { ...process.env, LZ_PORT: String(port) },
    });
    server.close();
    expect([run.exitCode, run.stderr.toString()]).toEqual([
      2,
      `port ${port} is in use: stop the program that uses it, or set LZ_PORT\n`,
    ]);
  });
});
