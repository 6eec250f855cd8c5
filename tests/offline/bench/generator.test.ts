import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGenerator } from "../../../bench/load/generator.ts";

const ANSWER_WAIT_MS = 300;

describe("the load generator", () => {
  const generator = startGenerator(ANSWER_WAIT_MS);
  const folder = mkdtempSync(join(tmpdir(), "lz-generator-"));
  const servers: Bun.Server<undefined>[] = [];
  afterAll(async () => {
    await generator.stop();
    await Promise.all(servers.map((server) => server.stop(true)));
    rmSync(folder, { recursive: true });
  });

  /**
   * Starts a stub server. The server accepts the first heartbeat of each group of `every` heartbeats. For all
   * other heartbeats, it returns the result of `otherwise`.
   */
  const serve = (every: number, otherwise: () => Response | Promise<Response>): number => {
    let asked = 0;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ method }) => {
        // An agent on this host can send probes to every server.
        if (method !== "POST") return new Response(null, { status: 404 });
        return asked++ % every === 0 ? new Response(null, { status: 202 }) : otherwise();
      },
    });
    servers.push(server);
    return server.port!;
  };
  const hang = () => new Promise<Response>(() => {});
  const edgeSecret = `v1:${Buffer.alloc(32, 7).toString("base64url")}`;
  const steady = (port: number, is: "closed" | "open") =>
    generator.steady({
      ...{ is, port, edgeSecret, seconds: 0.2, connections: 4, perSecond: 20, requestsMin: 0, assets: 3 },
    });

  test("counts only accepted requests in the rate, even if rejections are faster", async () => {
    const { sent, statuses, seconds, perSecond } = await steady(
      serve(2, () => new Response(null, { status: 503 })),
      "closed",
    );
    const { "202": accepted, "503": refused } = statuses;
    expect(accepted! + refused!).toBe(sent);
    expect(refused).toBeGreaterThan(0);
    expect(perSecond).toBe(Math.round(accepted! / seconds));
  });

  test("counts requests without a response as a status, with the waiting time as latency", async () => {
    const { sent, statuses, latency } = await steady(serve(4, hang), "open");
    expect(sent).toBe(4);
    expect(statuses).toEqual({ "202": 1, none: 3 });
    expect(latency.p50Ms).toBe(ANSWER_WAIT_MS);
  });

  test("writes each sent heartbeat into a fleet's journal, also without a response", async () => {
    const journal = join(folder, "journal.jsonl");
    const port = serve(5, hang);
    const tenants = [{ tenantId: "org_bench", assets: 5 }];
    const measured = await generator.ramp({
      ...{ is: "ramp", port, connections: 5, perSecond: 100, edgeSecret, tenants, risky: 0, journal },
    });
    expect(measured).toMatchObject({ sent: 5, accepted: 1, statuses: { "202": 1, none: 4 } });
    const lines = readFileSync(journal, "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).accepted).sort()).toEqual([false, false, false, false, true]);
  });
});
