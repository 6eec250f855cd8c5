import { expect, test } from "bun:test";
import { unmeasured } from "../../../bench/harness/report.ts";
import { ROOT } from "../../support/stack.ts";

test("unmeasured() names every figure that was not measured, and neither absent members nor other types", () => {
  const measured = { p99Ms: 0, mode: "network", perRound: [1, -2.5], cpu: undefined, servers: {} };
  expect(unmeasured(measured)).toEqual([]);
  const result = { ...measured, p99Ms: Number.NaN, perRound: [1, 1 / 0], servers: { bun: { p50Ms: null } } };
  expect(unmeasured(result)).toEqual(["p99Ms", "perRound.1", "servers.bun.p50Ms"]);
});

const finish = (...argv: [isJson: boolean, result: string]) => {
  const code = `import { finish } from "./bench/harness/report.ts"; finish(${argv.join(", ")}); console.log("done");`;
  const ran = Bun.spawnSync([process.execPath, "-e", code], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  return { code: ran.exitCode, out: ran.stdout.toString().split("\n"), err: ran.stderr.toString() };
};

test("finish() exits with 1 and prints no result if a figure was not measured", () => {
  const { code, out, err } = finish(true, "{ perSecond: 5, p99Ms: Number.NaN }");
  expect({ code, out, err }).toEqual({
    code: 1,
    out: [""],
    err: "these figures were not measured: p99Ms\n",
  });
  expect(finish(false, "{ p99Ms: null }").code).toBe(1);
  const good = finish(true, "{ perSecond: 5, p99Ms: 0 }");
  expect(JSON.parse(good.out[0]!)).toMatchObject({ perSecond: 5, p99Ms: 0, machine: { bun: Bun.version } });
  expect(good.out[1]).toBe("done");
});
