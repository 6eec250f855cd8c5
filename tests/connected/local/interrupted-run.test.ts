import { afterEach, expect, test } from "bun:test";
import { describeUnless, missing } from "../../support/missing.ts";
import { descendantsOf, type Process } from "../../support/run/descendants.ts";
import { areGone, removeTestRuns, startTestRun } from "../../support/run/test-run.ts";
import { eventually } from "../../support/stack.ts";

afterEach(removeTestRuns);

const STARTS_STACK = `
  await startTestStack("bun", { workers: 2 });
  await Bun.write("up", "up");
  await new Promise((resolve) => setTimeout(resolve, 120_000));`;

/** Returns the descendants of a test run, without its supervisor and the two processes of Bun's test runner. */
const stages = (run: { pid: number }): Process[] =>
  descendantsOf(run.pid).filter(({ command }) => !command.includes("it.test.ts"));

describeUnless(missing("Linux"), "an interrupted test run leaves no process of its stack behind", () => {
  test.each(["SIGTERM", "SIGKILL"] as const)(
    "after %s while the stack is running",
    async (signal) => {
      const { child, isUp } = startTestRun(STARTS_STACK);
      await isUp();
      const all = descendantsOf(child.pid);
      // The processes are DynamoDB, two workers, and the edge.
      expect(stages(child).length).toBeGreaterThanOrEqual(4);
      child.kill(signal);
      await areGone(all);
    },
    120_000,
  );

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "after %s while the stack is starting",
    async (signal) => {
      const { child } = startTestRun(STARTS_STACK);
      await eventually(async () => stages(child).length > 0, 60_000);
      const all = descendantsOf(child.pid);
      const supervisor = all.find(({ command }) => command.includes("supervise.ts"))!;
      child.kill(signal);
      // Processes that started after the list was made are also descendants of the supervisor. The supervisor
      // ends last.
      await areGone([supervisor]);
      await areGone(all);
    },
    120_000,
  );
});
