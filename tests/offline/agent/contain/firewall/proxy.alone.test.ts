import { expect } from "bun:test";
import { missing, testUnless } from "../../../../support/missing.ts";

const HOST = new URL("./proxy-host.ts", import.meta.url).pathname;

testUnless(
  missing("Linux", "root", "ip", "nft", "unshare", "tinyproxy"),
  "containment uses the proxy of the configuration file, and fails before any rule is set if the proxy runs on the host itself",
  async () => {
    const script = 'ip link set lo up && exec "$0" "$1"';
    const child = Bun.spawn(["unshare", "--net", "sh", "-c", script, process.execPath, HOST], {
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent" },
    });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect([await child.exited, stdout]).toEqual([0, expect.stringContaining("{")]);
    const { port, ...report } = JSON.parse(stdout);
    expect(report).toMatchObject({ mode: "network", outcome: "failed" });
    expect(report.reason).toStartWith(`the proxy 127.0.0.1:${port} runs on this host`);
    expect(report.reason).toContain("set the agent's proxy to one on another host");
    expect(stderr).toContain(`proxy=127.0.0.1:${port}`);
  },
  60_000,
);
