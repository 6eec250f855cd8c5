import { expect, test } from "bun:test";
import { ROOT } from "../../support/stack.ts";

/** Runs a bench and sends SIGTERM to it after it prints "now". Returns the output and the exit code of the bench. */
async function interrupted(bench: string): Promise<{ code: number; said: string[]; err: string }> {
  const code = `import { inScope } from "./bench/harness/scope.ts";
    const say = (word) => console.log(word);
    const soon = (part) => Bun.sleep(50).then(() => part);
    ${bench}`;
  const child = Bun.spawn([process.execPath, "-e", code], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  const err = new Response(child.stderr).text();
  let out = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    if (!out.includes("now")) {
      out += decoder.decode(chunk);
      if (out.includes("now")) child.kill("SIGTERM");
    } else out += decoder.decode(chunk);
  }
  return { code: await child.exited, said: out.trim().split("\n"), err: await err };
}

test("after an interrupt, inScope() stops its parts in reverse order, including a part that is still starting, and starts no more parts", async () => {
  const { code, said, err } = await interrupted(`
    await inScope(60, async (scope) => {
      scope.keep(() => say("first stopped"));
      scope.keep(() => { throw new Error("stuck") });
      say("now");
      await scope.start(async () => { await Bun.sleep(300); return "second" }, (part) => soon(part).then((part) => say(part + " stopped")));
      await scope.start(async () => say("third started"), () => {});
    });
    say("measured");`);
  expect(said).toEqual(["now", "second stopped", "first stopped"]);
  expect(err).toBe("could not stop a process or resource: stuck\ncannot measure: stopped by SIGTERM\n");
  expect(code).toBe(1);
});

test("after the bench, inScope() stops its parts and removes its signal handlers", async () => {
  const { code, said } = await interrupted(`
    say(await inScope(60, async (scope) => scope.start(() => soon("part"), (part) => say(part + " stopped"))));
    say("now");
    await Bun.sleep(10_000);
    say("still here");`);
  expect(said).toEqual(["part stopped", "part", "now"]);
  expect(code).toBe(128 + 15);
});

test("after a timeout or a failure, inScope() stops its parts, prints one line and exits with 1", async () => {
  for (const [seconds, work, reason] of [
    [0.05, "await Bun.sleep(10_000)", "still running after 0.05 s"],
    [60, 'throw new Error("no such table")', "no such table"],
  ] as const) {
    const { code, said, err } = await interrupted(
      `await inScope(${seconds}, async (scope) => { scope.keep(() => say("stopped")); ${work} }); say("measured");`,
    );
    expect({ code, said, err }).toEqual({ code: 1, said: ["stopped"], err: `cannot measure: ${reason}\n` });
  }
});
