import { expect, test } from "bun:test";
import { freePort } from "../../../local/free-port.ts";
import { StageFault, startStage } from "../../../local/stage.ts";
import { ROOT } from "../../support/stack.ts";

const stage = (script: string) =>
  startStage({
    name: "edge",
    command: [process.execPath, "-e", script],
    env: {},
    cwd: ROOT,
    onLine: () => {},
    isReady: (line) => line === "up",
  });

test("startStage() reports the last output of a stage that did not start", async () => {
  const fault = await stage(
    `for (let at = 0; at < 20; at++) console.error("line " + at);
     console.error("error: is the port in use?"); console.error("  at edge/bun.ts"); process.exit(3)`,
  ).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(StageFault);
  const { message } = fault as StageFault;
  expect(message).toStartWith("edge ended with code 3: line 14\n");
  expect(message).toEndWith("  error: is the port in use?\n    at edge/bun.ts");
});

test("startStage() resolves with the ready stage, and stop() ends it", async () => {
  const running = await stage(`console.log("up"); setInterval(() => {}, 1000)`);
  await running.stop();
  expect(await running.exited).not.toBe(0);
});

test("freePort() never returns the same port twice, in this process or another", async () => {
  const here: number[] = [];
  for (let taken = 0; taken < 40; taken++) here.push(await freePort());
  expect(new Set(here).size).toBe(40);
  const script = `import { freePort } from "./local/free-port.ts";
    const ports = []; for (let taken = 0; taken < 40; taken++) ports.push(await freePort());
    console.log(JSON.stringify(ports));`;
  const child = Bun.spawnSync([process.execPath, "-e", script], { cwd: ROOT });
  const there = JSON.parse(child.stdout.toString()) as number[];
  // Port blocks repeat after 220 processes, so process ids with this distance share a block.
  if ((child.pid - process.pid) % 220 !== 0) expect(there.filter((port) => here.includes(port))).toEqual([]);
});
