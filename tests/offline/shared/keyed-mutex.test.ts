import { expect, test } from "bun:test";
import { createKeyedMutex } from "../../../shared/keyed-mutex.ts";

test("createKeyedMutex() lets one work at a time under a name, in order, past failures, and others at their own pace", async () => {
  const exclusively = createKeyedMutex();
  const done: string[] = [];
  let inside = 0;
  const work =
    (name: string, ms: number, fails = false) =>
    async () => {
      expect(++inside).toBe(1);
      await Bun.sleep(ms); // duration of the work
      inside--;
      done.push(name);
      if (fails) throw new Error(`${name} failed`);
      return name;
    };
  const first = exclusively("a", work("first", 20, true));
  const second = exclusively("a", work("second", 5));
  const third = exclusively("a", work("third", 0));
  const other = exclusively("b", async () => void done.push("other"));
  await expect(first).rejects.toThrow("first failed");
  expect(await Promise.all([second, third])).toEqual(["second", "third"]);
  await other;
  expect(done).toEqual(["other", "first", "second", "third"]);
});
