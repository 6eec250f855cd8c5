import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toEngine } from "../../../../../agent/scan/identify/to-engine.ts";
import { darwinHost } from "../../../../../agent/scan/platform/darwin.ts";
import { windowsHost } from "../../../../../agent/scan/platform/windows.ts";
import {
  authenticodeSigner,
  parseSignature,
  parseSubject,
  signatureScript,
} from "../../../../../agent/scan/processes/authenticode.ts";
import { codesignSigner, parseCodesign } from "../../../../../agent/scan/processes/codesign.ts";
import { createSigners } from "../../../../../agent/scan/processes/signers.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import type { Host } from "../../../../../agent/scan/system/host.ts";
import { type Run, runTool } from "../../../../../agent/scan/system/run-tool.ts";
import { engine } from "../../../../../shared/wire/heartbeat.ts";

// Output for Siri.app, from craftware.xyz/tips/Code-signing.html.
const APPLE = `Executable=/Applications/Siri.app/Contents/MacOS/Siri
Identifier=com.apple.siri.launcher
Format=app bundle with Mach-O thin (x86_64)
CodeDirectory v=20100 size=264 flags=0x0(none) hashes=3+3 location=embedded
Platform identifier=2
Signature size=4105
Authority=Software Signing
Authority=Apple Code Signing Certification Authority
Authority=Apple Root CA
Info.plist entries=24
TeamIdentifier=not set
Sealed Resources version=2 rules=12 files=2
`;
// The same output for a vendor with a Developer ID. The names are from public outputs of codesign.
const MAKER = `Executable=/path/to/x.component/Contents/MacOS/x
Format=bundle with Mach-O universal
Authority=Developer ID Application: Native Instruments GmbH (783P5RS31U)
Authority=Developer ID Certification Authority
Authority=Apple Root CA
TeamIdentifier=783P5RS31U
`;
// The signature that the linker for Apple silicon adds to every program.
const LINKER = `Executable=/opt/homebrew/bin/llama-server
Identifier=llama-server
Format=Mach-O thin (arm64)
CodeDirectory v=20400 size=198328 flags=0x20002(adhoc,linker-signed) hashes=6195+0 location=embedded
Signature=adhoc
Info.plist=not bound
TeamIdentifier=not set
Sealed Resources=none
`;
const NONE = "/usr/local/bin/ollama: code object is not signed at all\n";

describe("parseCodesign()", () => {
  test.each([
    [APPLE, "Software Signing"],
    [MAKER, "Developer ID Application: Native Instruments GmbH (783P5RS31U)"],
    [MAKER.replace(" (783P5RS31U)", ""), "Developer ID Application: Native Instruments GmbH (783P5RS31U)"],
    [LINKER, "ad hoc, without a signer"],
    [NONE, "not signed"],
  ])("%#: the leaf of the chain, or why the signer is unknown", (text, words) => {
    expect(parseCodesign(text)?.words).toBe(words);
  });

  test.each(["", "/x: No such file or directory\n", "Signature size=8968\nIdentifier=a\n"])(
    "is undefined for %p",
    (text) => {
      expect(parseCodesign(text)).toBeUndefined();
    },
  );
});

describe("codesignSigner()", () => {
  const tool = (shown: string, holds: boolean, asked: string[][] = []): Run => {
    return async (command, { from }) => {
      asked.push([...command]);
      if (command.includes("--verify")) {
        if (!holds) throw new Error("codesign failed with exit code 3");
        return "";
      }
      expect(from).toBe("stderr");
      return shown;
    };
  };

  test("names the signer only if the signature is valid and its chain ends at Apple", async () => {
    const asked: string[][] = [];
    const name = "Developer ID Application: Native Instruments GmbH (783P5RS31U)";
    expect(await codesignSigner(tool(MAKER, true, asked), "/a b/x")).toBe(name);
    expect(asked[1]).toEqual([
      "/usr/bin/codesign",
      "--verify",
      "--ignore-resources",
      "-R=anchor apple generic",
      "/a b/x",
    ]);
    // A self-made certificate can contain any name.
    expect(await codesignSigner(tool(MAKER, false), "/x")).toBe(`not valid: ${name}`);
  });

  test("does not verify a program without a signer", async () => {
    const asked: string[][] = [];
    expect(await codesignSigner(tool(LINKER, true, asked), "/x")).toBe("ad hoc, without a signer");
    expect(await codesignSigner(tool(NONE, true, asked), "/x")).toBe("not signed");
    expect(asked.some((command) => command.includes("--verify"))).toBe(false);
  });
});

// Subjects as formatted by .NET. The first is from gist.github.com/syu5-gh/9889651.
const MICROSOFT = "CN=Microsoft Windows, O=Microsoft Corporation, L=Redmond, S=Washington, C=US";
const QUOTED = `CN="Foo ""Bar"", Inc.", O="Foo, CN=Microsoft Corporation", C=US`;

describe("parseSignature()", () => {
  test.each([
    [{ s: "Valid", c: MICROSOFT }, "Microsoft Corporation"],
    [{ s: "Valid", c: "CN=Ada" }, "Ada"],
    [{ s: "NotSigned", c: null }, "not signed"],
    [{ s: "HashMismatch", c: MICROSOFT }, "not valid: Microsoft Corporation"],
    [{ s: "NotTrusted", c: MICROSOFT }, "not valid: Microsoft Corporation"],
    [{ s: "UnknownError", c: null }, undefined],
    [{ s: 0, c: MICROSOFT }, undefined],
    [null, undefined],
  ])("%j is %p", (row, signer) => {
    expect(parseSignature(JSON.stringify(row))).toBe(signer as string);
  });

  test("parseSubject() parses commas and names inside quotes", () => {
    expect(Object.fromEntries(parseSubject(QUOTED))).toEqual({
      CN: 'Foo "Bar", Inc.',
      O: "Foo, CN=Microsoft Corporation",
      C: "US",
    });
    expect(parseSubject("nonsense").size).toBe(0);
  });
});

test("signatureScript() contains no part of a path that PowerShell could run", async () => {
  const path = "C:\\a’; Remove-Item x; ‘\\é'.exe";
  const script = signatureScript(path);
  const base64 = /FromBase64String\('([A-Za-z0-9+/=]+)'\)/.exec(script)![1]!;
  expect(Buffer.from(base64, "base64").toString()).toBe(path);
  expect(script).not.toMatch(/Remove-Item|[‘’"]/);
  const run: Run = async (command) => {
    expect(command).toEqual(["powershell.exe", script]);
    return JSON.stringify({ s: "Valid", c: MICROSOFT });
  };
  expect(await authenticodeSigner(run, ["powershell.exe"], path)).toBe("Microsoft Corporation");
});

describe("createSigners()", () => {
  const directory = mkdtempSync(join(tmpdir(), "collect-signers-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  function table(look: (path: string) => Promise<string | undefined>) {
    const asked: string[] = [];
    const state = { nowMs: 0 };
    const signers = createSigners({
      files: realFiles(),
      elapsed: () => state.nowMs,
      look: (path) => {
        asked.push(path);
        return look(path);
      },
    });
    return { signers, asked, state };
  }
  const program = (name: string): string => {
    const path = join(directory, name);
    writeFileSync(path, "program");
    return path;
  };

  test("returns the signer in a later scan, checks a file once, and again after it has changed", async () => {
    const path = program("a");
    const { signers, asked, state } = table(async () => "Maker");
    expect(signers.of(path)).toBeUndefined();
    await Bun.sleep(0);
    expect(signers.of(path)).toBe("Maker");
    state.nowMs = 3_600_000;
    expect(signers.of(path)).toBe("Maker");
    expect(asked).toEqual([path]);
    utimesSync(path, 1, 1);
    expect(signers.of(path)).toBeUndefined();
    expect(asked).toEqual([path, path]);
  });

  test("runs one check at a time and pauses between two, for any number of engines", async () => {
    const paths = ["b", "c", "d"].map(program);
    const { signers, asked, state } = table(async () => "Maker");
    for (const path of paths) signers.of(path);
    await Bun.sleep(0);
    for (const path of paths) signers.of(path);
    expect(asked).toHaveLength(1);
    state.nowMs = 5000;
    for (const path of paths) signers.of(path);
    expect(asked).toHaveLength(2);
  });

  test("does not repeat a failed check, and checks regular files only", async () => {
    const path = program("e");
    const { signers, asked, state } = table(() => Promise.reject(new Error("late")));
    signers.of(path);
    await Bun.sleep(0);
    state.nowMs = 3_600_000;
    expect(signers.of(path)).toBeUndefined();
    signers.of(join(directory, "absent"));
    signers.of(directory);
    expect(asked).toEqual([path]);
  });
});

test("runTool() returns the requested output of a tool", async () => {
  const command = [process.execPath, "-e", "console.log('out'); console.error('err')"];
  const limits = { timeoutMs: 5000, bytesMax: 1024 };
  expect(await runTool(command, limits)).toBe("out\n");
  expect(await runTool(command, { ...limits, from: "stderr" })).toBe("err\n");
});

describe("signerOf()", () => {
  const directory = mkdtempSync(join(tmpdir(), "collect-signer-of-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const executable = join(directory, "ollama");
  writeFileSync(executable, "program");
  const root = { pid: 7, parentPid: 1, key: "7", name: "ollama", argv: [], executable };

  function deps(run: Run) {
    return { files: realFiles(), run, selfPid: 1, elapsed: () => 0, isLibraryWanted: () => false };
  }
  const later = async (host: Host): Promise<string | undefined> => {
    expect(host.signerOf!(root)).toBeUndefined();
    await Bun.sleep(0);
    return host.signerOf!(root);
  };

  test("runs codesign on macOS and PowerShell on Windows, for the executable only", async () => {
    const asked: string[] = [];
    const mac = darwinHost(
      deps(async ([tool]) => {
        asked.push(tool!);
        return MAKER;
      }),
    );
    expect(await later(mac)).toBe("Developer ID Application: Native Instruments GmbH (783P5RS31U)");
    const row = JSON.stringify({ s: "Valid", c: MICROSOFT });
    const windows = windowsHost(
      deps(async ([tool]) => {
        asked.push(tool!);
        return row;
      }),
    );
    expect(await later(windows)).toBe("Microsoft Corporation");
    expect(asked).toEqual(["/usr/bin/codesign", "/usr/bin/codesign", "powershell.exe"]);
    const { executable: _, ...nameless } = root;
    expect(mac.signerOf!(nameless)).toBeUndefined();
    expect(windows.signerOf!(nameless)).toBeUndefined();
    expect(asked).toHaveLength(3);
  });

  test("toEngine() cuts it to the limit of the wire schema", () => {
    const made = (signer: string | undefined) => {
      const evidence = [{ signal: "http", detail: "x", weight: 90 }] as const;
      const candidate = {
        id: "ollama",
        name: "Ollama",
        kind: "inference-engine",
        root,
        members: [root],
      } as const;
      const snapshot = {
        processes: new Map(),
        listeners: [],
        weights: new Map(),
        libraries: new Map(),
        gpu: new Map(),
        collectors: [],
      };
      return toEngine(
        { ...candidate, members: [root], heard: [], listeners: [], weights: [], evidence: [...evidence] },
        { snapshot, peers: new Map(), selfPid: 1, homes: [], atRest: [], signer },
      ).engine;
    };
    expect(made("Ollama Inc.")).toMatchObject({ signer: "Ollama Inc." });
    expect(made(undefined)).not.toHaveProperty("signer");
    const long = made("x".repeat(1000));
    expect(engine.safeParse(long).success).toBe(true);
    expect(long.signer).toHaveLength(160);
    expect(engine.safeParse({ ...long, signer: "x".repeat(161) }).success).toBe(false);
  });
});
