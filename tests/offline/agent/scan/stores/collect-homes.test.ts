import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homesOfPeople } from "../../../../../agent/cli/accounts.ts";
import { systemReaders } from "../../../../../agent/scan/platform/system-readers.ts";
import { eventually } from "../../../../support/stack.ts";
import { putIn } from "./store-files.ts";

const root = mkdtempSync(join(tmpdir(), "collect-homes-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("homes of a domain are used after the reader process has listed them", async () => {
  putIn(root)("eve/.profile", "");
  putIn(root)("EXAMPLE.COM/bob/.profile", "");
  const machine = { platform: "linux", env: {}, home: "/root" } as const;
  const readers = systemReaders({
    platform: "linux",
    procRoot: "/proc",
    selfPid: process.pid,
    homes: (list, listHome) =>
      homesOfPeople(machine, {
        list: (path) => list(path === "/home" ? root : path),
        listHome: (path) => listHome(path.replace("/home", root)),
        text: () => "",
      }),
    clock: Date.now,
    elapsed: () => performance.now(),
  });
  expect([...readers.homes()].sort()).toEqual(["/home/EXAMPLE.COM", "/home/eve", "/root"]);
  const homes = await eventually(async () => {
    const known = readers.homes();
    return known.length > 3 && known;
  }, 10_000);
  expect([...homes].sort()).toEqual(["/home/EXAMPLE.COM", "/home/EXAMPLE.COM/bob", "/home/eve", "/root"]);
});
