import { describe, expect, test } from "bun:test";
import { unchangedPages } from "../../../../agent/platform/trim-memory.ts";
import { missing, testUnless } from "../../../support/missing.ts";

// Captured from a compiled agent on Linux 6.18. Fields that the code does not read are omitted.
const SMAPS = `00200000-01a39000 r--p 00000000 fe:00 10420315                           /usr/local/bin/lz-agent
Size:              24804 kB
Rss:                5732 kB
Anonymous:             0 kB
01a40000-0684a000 r-xp 01838000 fe:00 10420315                           /usr/local/bin/lz-agent
Size:              79912 kB
Rss:               32072 kB
Anonymous:             0 kB
0684a000-0685f000 rw-p 06641000 fe:00 10420315                           /usr/local/bin/lz-agent
Anonymous:            44 kB
0685f000-06867000 r--p 06655000 fe:00 10420315                           /usr/local/bin/lz-agent
Anonymous:            12 kB
06868000-06869000 r--s 06655000 fe:00 10420315                           /usr/local/bin/lz-agent
Anonymous:             0 kB
56a7a600000-56aba600000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
7f661f10e000-7f661f264000 r-xp 00026000 fe:00 331290                     /usr/lib/x86_64-linux-gnu/libc.so.6
Anonymous:             0 kB
`;

describe("unchangedPages()", () => {
  test("returns code and constants of the executable, without written or relocated pages", () => {
    expect(unchangedPages(SMAPS, "/usr/local/bin/lz-agent")).toEqual([
      { start: 0x200000, bytes: 0x1839000 },
      { start: 0x1a40000, bytes: 0x4e0a000 },
    ]);
  });

  test("returns nothing of another executable, or after a replacement of the file", () => {
    expect(unchangedPages(SMAPS, "/usr/local/bin/lz-agent (deleted)")).toEqual([]);
    expect(unchangedPages("", "/usr/local/bin/lz-agent")).toEqual([]);
  });

  test("treats a mapping with one copied page as written", () => {
    const written = SMAPS.replace(
      "Rss:               32072 kB\nAnonymous:             0 kB",
      "Anonymous:             4 kB",
    );
    expect(unchangedPages(written, "/usr/local/bin/lz-agent").map(({ start }) => start)).toEqual([0x200000]);
  });
});

testUnless(
  missing("Linux"),
  "createMemory().settle() frees pages after the first scan, after a minute and then at longer intervals, and the process still works",
  () => {
    const script = `
    import { readFileSync } from "node:fs";
    import { createMemory } from "${new URL("../../../../agent/platform/trim-memory.ts", import.meta.url).pathname}";
    const fileKb = () => Number(/^RssFile:\\s+(\\d+)/m.exec(readFileSync("/proc/self/status", "latin1"))[1]);
    let nowMs = 0;
    const memory = createMemory({ platform: "linux", elapsed: () => nowMs });
    const seen = [];
    for (const at of [0, 59_999, 60_000, 179_999, 180_000]) {
      nowMs = at;
      // Different kinds of work load pages again.
      JSON.parse(JSON.stringify([..."abc"].map((letter) => new RegExp(letter, "iu").exec("xabcx"))));
      const before = fileKb();
      memory.settle();
      seen.push(before - fileKb());
    }
    console.log(JSON.stringify(seen));
  `;
    const { stdout, exitCode } = Bun.spawnSync([process.execPath, "-e", script]);
    expect(exitCode).toBe(0);
    const [first, early, second, rare, third] = JSON.parse(stdout.toString()) as number[];
    expect(first).toBeGreaterThan(4096);
    for (const none of [early, rare]) expect(none).toBeLessThan(1024);
    for (const some of [second, third]) expect(some).toBeGreaterThan(1024);
  },
);
