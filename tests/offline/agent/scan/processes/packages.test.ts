import { describe, expect, test } from "bun:test";
import { createPackages, parseDpkgSearch } from "../../../../../agent/scan/processes/packages.ts";
import { placedPackage } from "../../../../../agent/scan/processes/versioned-packages.ts";
import { yieldToEventLoop } from "../../../../../agent/scan/system/cpu-budget.ts";
import { HOUR_MS } from "../../../../../shared/time/durations.ts";

/**
 * A fake package manager. `answers` maps the first words of a command to the command's output. Other commands
 * fail.
 */
function manager(answers: Record<string, string>) {
  const asked: string[] = [];
  const state = { nowMs: 0 };
  const packages = createPackages({
    elapsed: () => state.nowMs,
    run: async (command) => {
      asked.push(command.join(" "));
      const found = Object.keys(answers).find((start) => command.join(" ").startsWith(start));
      if (found === undefined) throw new Error("no such program");
      return answers[found]!;
    },
  });
  /** Calls the lookup once per scan until the search has finished. */
  const settled = async (path: string) => {
    packages.of(path);
    await Bun.sleep(0);
    return packages.of(path);
  };
  return { packages, settled, asked, state };
}

describe("createPackages()", () => {
  test("returns name and version of the Debian package, without waiting", async () => {
    const { packages, settled, asked } = manager({
      "dpkg-query --search": "dpkg-query: no path found\npython3.13-minimal: /usr/bin/python3.13\n",
      "dpkg-query --show": "3.13.5-2\n",
    });
    expect(packages.of("/usr/bin/python3.13")).toBeUndefined();
    await Bun.sleep(0);
    expect(await settled("/usr/bin/python3.13")).toBe("python3.13-minimal 3.13.5-2");
    expect(asked[0]).toBe("dpkg-query --search /usr/bin/python3.13 /bin/python3.13");
    expect(asked).toHaveLength(2);
  });

  test("runs rpm on a host without dpkg", async () => {
    const { settled } = manager({ "rpm -qf": "ollama 0.12.6-1.fc43\n" });
    expect(await settled("/usr/bin/ollama")).toBe("ollama 0.12.6-1.fc43");
  });

  test("is undefined if no package contains the file, and searches again only after an hour", async () => {
    const { settled, asked, state, packages } = manager({});
    expect(await settled("/opt/x/server")).toBeUndefined();
    const first = asked.length;
    state.nowMs = HOUR_MS - 1;
    await settled("/opt/x/server");
    expect(asked).toHaveLength(first);
    state.nowMs = HOUR_MS;
    packages.of("/opt/x/server");
    await yieldToEventLoop();
    expect(asked.length).toBeGreaterThan(first);
  });

  test.each(["/home/a/.local/bin/ollama", "/usr/local/bin/ollama", "/tmp/server", "relative"])(
    "does not search for %s, which no package contains",
    async (path) => {
      const { settled, asked } = manager({ "dpkg-query": "x: /\n", rpm: "x 1\n" });
      expect(await settled(path)).toBeUndefined();
      expect(asked).toEqual([]);
    },
  );

  test("runs one search at a time for any number of engines", async () => {
    const { packages, asked } = manager({ "rpm -qf": "x 1-1\n" });
    for (let at = 0; at < 20; at += 1) packages.of(`/usr/bin/engine${at}`);
    await yieldToEventLoop();
    expect(asked.filter((command) => command.startsWith("dpkg-query"))).toHaveLength(1);
  });
});

test.each([
  ["/opt/homebrew/Cellar/ollama/0.12.6/bin/ollama", "ollama 0.12.6 (Homebrew)"],
  ["/usr/local/Cellar/llama.cpp/6710_1/bin/llama-server", "llama.cpp 6710_1 (Homebrew)"],
  ["/home/linuxbrew/.linuxbrew/Cellar/ollama/0.12.6/bin/ollama", "ollama 0.12.6 (Homebrew)"],
  [
    "C:\\Program Files\\WindowsApps\\Microsoft.FoundryLocal_0.7.120.0_x64__8wekyb3d8bbwe\\foundry.exe",
    "Microsoft.FoundryLocal 0.7.120.0 (MSIX)",
  ],
  // Outside the package directories, any user can create such paths.
  ["/home/ada/Cellar/ollama/0.12.6/bin/ollama", undefined],
  ["/tmp/opt/homebrew/Cellar/ollama/0.12.6/bin/ollama", undefined],
  ["/opt/homebrew/Cellar/ollama", undefined],
  ["/opt/homebrew/bin/ollama", undefined],
  ["D:\\x\\Program Files\\WindowsApps\\A_1.0_x64__8wekyb3d8bbwe\\a.exe", undefined],
  ["C:\\Program Files\\WindowsApps\\A_1.0_x64__short\\a.exe", undefined],
  ["C:\\Program Files\\Ollama\\ollama.exe", undefined],
])("placedPackage() of %s is %p", (path, found) => {
  expect(placedPackage(path)).toBe(found as string);
});

test("parseDpkgSearch() returns the package of exactly this path, and skips diversions, lists and patterns", () => {
  const paths = ["/usr/bin/sh", "/bin/sh"];
  expect(parseDpkgSearch("dash:amd64: /bin/sh\n", paths)).toBe("dash:amd64");
  for (const output of [
    "diversion by dash from: /bin/sh\n",
    "dash: /bin/sh.distrib\n",
    "dash, bash: /bin/sh\n",
    "",
    "dash: /bin/shell\n",
  ])
    expect(parseDpkgSearch(output, paths)).toBeUndefined();
});
