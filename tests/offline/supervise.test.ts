import { afterEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { describeUnless, missing, testUnless } from "../support/missing.ts";
import { descendantsOf, isRunning, listPs, type Process } from "../support/run/descendants.ts";
import { areGone, removeTestRuns, startTestRun } from "../support/run/test-run.ts";
import { eventually } from "../support/stack.ts";

afterEach(removeTestRuns);

/**
 * A script that leaves two processes behind: one without an environment in its own process group, and a
 * daemon whose parents have ended.
 */
const LEAVES_PROCESSES = `
  await startStage({ name: "stage", command: [process.execPath, "-e", "console.log('up'); setInterval(() => {}, 1000)"],
    env: {}, cwd: ".", onLine: () => {}, isReady: (line) => line === "up" });
  await Bun.spawn(["setsid", "sh", "-c", "sh -c 'exec sleep 600' & exit 0"], { env: {} }).exited;`;

describeUnless(missing("Linux", "setsid"), "an interrupted test run leaves no process behind", () => {
  const waits = `${LEAVES_PROCESSES}
    await Bun.write("up", "up");
    await new Promise((resolve) => setTimeout(resolve, 60_000));`;

  test.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const)(
    "after %s",
    async (signal) => {
      const { child, isUp } = startTestRun(waits);
      await isUp();
      const processes = descendantsOf(child.pid);
      const commands = processes.map(({ command }) => command).join("\n");
      for (const part of ["supervise.ts", "--reporter=junit", "console.log('up')", "sleep 600"])
        expect(commands).toContain(part);
      child.kill(signal);
      await child.exited;
      if (signal !== "SIGKILL") {
        expect([child.exitCode, processes.filter(isRunning)]).toEqual([1, []]);
        expect(await new Response(child.stdout).text()).toContain(`ended by ${signal}: the rest did not run`);
      }
      await areGone(processes);
    },
    60_000,
  );

  test("after SIGKILL of its whole process group, as sent by a time limit", async () => {
    const { child, isUp } = startTestRun(waits);
    await isUp();
    const processes = descendantsOf(child.pid);
    process.kill(-child.pid, "SIGKILL");
    await areGone(processes);
  }, 60_000);

  test("not even a zombie of a process that ended during the run", async () => {
    const { child, isUp } = startTestRun(`
      const orphan = Bun.spawn(["sh", "-c", "sleep 0.1 & echo $!"], { stdout: "pipe" });
      await Bun.write("up", await new Response(orphan.stdout).text());
      await new Promise((resolve) => setTimeout(resolve, 60_000));`);
    const pid = (await isUp()).toString().trim();
    await eventually(async () => !existsSync(`/proc/${pid}`));
    expect(descendantsOf(child.pid).length).toBeGreaterThan(0);
    child.kill("SIGTERM");
    await child.exited;
  }, 60_000);

  test("after it ended by itself, and prints what it has ended", async () => {
    const { child } = startTestRun(LEAVES_PROCESSES);
    const said = await new Response(child.stderr).text();
    expect(await child.exited).toBe(0);
    expect(said).toContain("ended what the tests left running:\n");
    for (const part of ["console.log('up')", "sleep 600"]) expect(said).toContain(part);
  }, 60_000);
});

testUnless(
  missing("Linux", "root", "ip"),
  "a test run that is killed leaves no network namespace behind",
  async () => {
    const { child, isUp } = startTestRun(`
      const name = namespaceId() + "h";
      await Bun.spawn(["ip", "netns", "add", name]).exited;
      Bun.spawn(["ip", "netns", "exec", name, "sleep", "600"], { env: {} });
      await Bun.write("up", name);
      await new Promise((resolve) => setTimeout(resolve, 60_000));`);
    const name = await isUp();
    expect(name).toMatch(/^lzt[0-9a-f]{8}h$/);
    expect(existsSync(`/run/netns/${name}`)).toBe(true);
    const processes = descendantsOf(child.pid);
    child.kill("SIGKILL");
    await areGone(processes);
    await eventually(async () => !existsSync(`/run/netns/${name}`));
  },
  60_000,
);

describe("descendantsOf()", () => {
  testUnless(missing("Linux", "ps"), "finds the same processes with ps and in /proc", async () => {
    const child = Bun.spawn(["sh", "-c", "sleep 600 & wait"]);
    // Between fork and exec, the child process still has the name of the shell.
    const sleeping = await eventually(async () =>
      descendantsOf(child.pid).find(({ command }) => command === "sleep 600"),
    );
    const named = ({ pid, command }: Process) => ({ pid, command });
    expect(descendantsOf(child.pid, listPs).map(named)).toEqual([named(sleeping)]);
    process.kill(sleeping.pid, "SIGKILL");
  });
});
