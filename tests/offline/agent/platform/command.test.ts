import { expect, test } from "bun:test";
import { runWithin } from "../../../../agent/platform/run-command.ts";

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("runWithin() does not wait for a child of a killed program that keeps its output open", async () => {
  const { code, stdout } = await runWithin(300)(["sh", "-c", "sleep 60 & echo $!; wait"]);
  const left = Number(stdout);
  try {
    expect([code, isRunning(left)]).toEqual([-1, true]);
  } finally {
    process.kill(left, "SIGKILL");
  }
});

test("runWithin() returns the code of a program that ended in time, though its child keeps the output open", async () => {
  const { code, stdout } = await runWithin(300)(["sh", "-c", "sleep 60 & echo $!; exit 3"]);
  const left = Number(stdout);
  try {
    expect([code, isRunning(left)]).toEqual([3, true]);
  } finally {
    process.kill(left, "SIGKILL");
  }
});

test("runWithin() passes the input and returns all output of a program that ends by itself", async () => {
  const { code, stdout, stderr } = await runWithin(10_000)(
    ["sh", "-c", "cat; echo told >&2"],
    "x".repeat(200_000),
  );
  expect([code, stdout.length, stderr]).toEqual([0, 200_000, "told\n"]);
});
