import { expect, test } from "bun:test";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { hostOf } from "../../../../../agent/scan/probe/connection.ts";
import { fingerprint } from "../../../../../agent/scan/probe/fingerprint.ts";
import type { Probe } from "../../../../../agent/scan/probe/probe.ts";

/**
 * Recorded from @playwright/mcp 0.0.83. This server accepts only requests to localhost, as protection against
 * DNS rebinding.
 */
const playwright =
  (hosts: string[]): Probe =>
  async (target, path) => {
    const host = hostOf(target);
    hosts.push(host);
    if (host !== `localhost:${target.port}`)
      return { status: 403, headers: {}, body: `Access is only allowed at localhost:${target.port}` };
    if (path !== "/sse") return { status: 400, headers: {}, body: "Invalid request" };
    const body = "event: endpoint\ndata: /sse?sessionId=cdb88ec1-9e18-4be1-966e-dbb5d7dfe6bf\n\n";
    return { status: 200, headers: { "content-type": "text/event-stream" }, body };
  };

const probeAt = async (address: string, probe: Probe) =>
  fingerprint({ probe, catalogue, elapsed: () => 0 }, { address, port: 8931 }, new Set());

test.each(["127.0.0.1", "::1"])(
  "a server at %s that accepts only localhost is probed as localhost",
  async (address) => {
    const hosts: string[] = [];
    const found = await probeAt(address, playwright(hosts));
    expect([found.judgement.winner?.entry.id, found.auth]).toEqual(["mcp-http", "open"]);
    expect(new Set(hosts.slice(1))).toEqual(new Set(["localhost:8931"]));
  },
);

test("a server at another address is never probed as localhost", async () => {
  const hosts: string[] = [];
  const found = await probeAt("10.0.0.7", playwright(hosts));
  expect(found.judgement.winner).toBeUndefined();
  expect(new Set(hosts)).toEqual(new Set(["10.0.0.7:8931"]));
});

test("a server that rejects the probe for another reason is probed with its address in the Host header", async () => {
  const hosts: string[] = [];
  await probeAt("127.0.0.1", async (target) => {
    hosts.push(hostOf(target));
    return { status: 403, headers: {}, body: "Forbidden" };
  });
  expect(new Set(hosts)).toEqual(new Set(["127.0.0.1:8931"]));
});
