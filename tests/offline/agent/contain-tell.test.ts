import { describe, expect, test } from "bun:test";
import { noticeOf, tellCommands, tellUsersOf } from "../../../agent/contain/tell-user.ts";

describe("the person at the host", () => {
  test("noticeOf() tells what changed in the admin's words, or in its own, and of a mere observation nothing", () => {
    const order = { action: "isolate", mode: "network" } as const;
    expect(noticeOf({ ...order, notice: "Call 555-0100." })).toBe(
      "LifecycleZero: Call 555-0100. Its network is restricted.",
    );
    expect(noticeOf({ ...order, mode: "stop-engines" })).toContain("AI engines were stopped");
    expect(noticeOf(order)).toContain("contact them");
    expect(noticeOf({ ...order, mode: "observe" })).toBeUndefined();
    expect(noticeOf({ ...order, action: "release" })).toContain("has ended");
  });

  test("noticeOf() lets no control character through to a terminal, and is bounded", () => {
    const told = noticeOf({
      action: "isolate",
      mode: "network",
      notice: `\u001b[2J\u0007${"x".repeat(900)}`,
    })!;
    expect(told).not.toMatch(/[\u0000-\u001f\u007f]/);
    expect(told.length).toBeLessThanOrEqual(360);
  });

  test("tellCommands() hands the words over as one argument, to terminals and to each desktop as its user", () => {
    const words = "$(reboot) --help; 'x'";
    const [wall, ...desktops] = tellCommands(words, [1000, 1001]);
    expect(wall).toEqual(["wall", "--", words]);
    expect(desktops.map((command) => [command[1], command.at(-1)])).toEqual([
      ["--reuid=1000", words],
      ["--reuid=1001", words],
    ]);
  });

  test("tellUsersOf() does not mind a host that lacks the programs", async () => {
    const asked: string[] = [];
    const run = async ([program]: readonly string[]) => {
      asked.push(program!);
      return { code: 127, stdout: "", stderr: "" };
    };
    await tellUsersOf(run)("words");
    expect(asked[0]).toBe("wall");
  });
});
