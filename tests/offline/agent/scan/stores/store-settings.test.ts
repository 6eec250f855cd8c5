import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettings, type SettingsSource } from "../../../../../agent/scan/stores/store-settings.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { missing, testUnless } from "../../../../support/missing.ts";
import { ownedFiles, putIn } from "./store-files.ts";

const base = mkdtempSync(join(tmpdir(), "store-settings-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let root = "";
let put = putIn("");
let count = 0;
beforeEach(() => {
  count += 1;
  root = join(base, String(count));
  put = putIn(root);
  chmodSync(put("bin/ollama", ""), 0o755);
});

const system = (): SettingsSource => ({
  of: "system",
  units: [`${root}/etc/systemd/system`, `${root}/usr/lib/systemd/system`],
  userUnits: [`${root}/etc/systemd/user`],
  files: [`${root}/etc/environment`, `${root}/etc/environment.d`],
});
const moved = (source = system(), files = realFiles()) => readSettings(files, source).moved;
const unit = (...lines: string[]) =>
  `[Unit]\nDescription=x\n[Service]\nExecStart=${root}/bin/ollama serve\n${lines.join("\n")}\n`;
const ollama = (path: string) => ({ store: "ollama" as const, path });

describe("readSettings() of systemd units", () => {
  test("reads OLLAMA_MODELS of a unit, quoted or not", () => {
    put("usr/lib/systemd/system/ollama.service", unit('Environment="OLLAMA_MODELS=/data/my models" HOME=/x'));
    expect(moved()).toEqual([ollama("/data/my models")]);
    put("usr/lib/systemd/system/ollama.service", unit("Environment=A=b OLLAMA_MODELS=/data/plain"));
    expect(moved()).toEqual([ollama("/data/plain")]);
  });

  test("joins lines after a backslash and skips comments", () => {
    put("usr/lib/systemd/system/o.service", unit("Environment=A=1 \\", "# no", "  OLLAMA_MODELS=/data/o"));
    expect(moved()).toEqual([ollama("/data/o")]);
  });

  test("an administrator's unit overrides the distribution's, and a masked unit cannot run", () => {
    put("usr/lib/systemd/system/ollama.service", unit("Environment=OLLAMA_MODELS=/data/old"));
    put("etc/systemd/system/ollama.service", unit("Environment=OLLAMA_MODELS=/data/new"));
    expect(moved()).toEqual([ollama("/data/new")]);
    rmSync(`${root}/etc/systemd/system/ollama.service`);
    symlinkSync("/dev/null", `${root}/etc/systemd/system/ollama.service`);
    expect(moved()).toEqual([]);
  });

  test("drop-ins of all directories apply in order of their names; an empty value resets", () => {
    put("usr/lib/systemd/system/ollama.service", unit("Environment=OLLAMA_MODELS=/data/old"));
    put(
      "usr/lib/systemd/system/ollama.service.d/50-x.conf",
      "[Service]\nEnvironment=OLLAMA_MODELS=/data/later\n",
    );
    put(
      "etc/systemd/system/ollama.service.d/10-x.conf",
      "[Service]\nEnvironment=OLLAMA_MODELS=/data/first\n",
    );
    expect(moved()).toEqual([ollama("/data/later")]);
    put("etc/systemd/system/ollama.service.d/50-x.conf", "[Service]\nEnvironment=\n");
    expect(moved()).toEqual([]);
    put("etc/systemd/system/service.d/90-all.conf", "[Service]\nEnvironment=HF_HOME=/data/hf\n");
    expect(moved()).toEqual([{ store: "huggingface", path: "/data/hf/hub" }]);
  });

  test("environment files override the unit; missing and special files are skipped", () => {
    const file = put("etc/default/ollama", '# models\nOLLAMA_MODELS="/data/from file"\n');
    put(
      "usr/lib/systemd/system/o.service",
      unit("Environment=OLLAMA_MODELS=/data/unit", `EnvironmentFile=-${file}`),
    );
    expect(moved()).toEqual([ollama("/data/from file")]);
    put(
      "usr/lib/systemd/system/o.service",
      unit("Environment=OLLAMA_MODELS=/data/unit", `EnvironmentFile=-${root}/none`),
    );
    expect(moved()).toEqual([ollama("/data/unit")]);
    put(
      "usr/lib/systemd/system/o.service",
      unit("EnvironmentFile=/dev/zero", `EnvironmentFile=${root}/etc/def*/oll*`),
    );
    expect(moved()).toEqual([]);
    put("usr/lib/systemd/system/o.service", unit(`EnvironmentFile=${root}/etc/default/oll*`));
    expect(moved()).toEqual([ollama("/data/from file")]);
  });

  test("a unit without its program cannot run; neither can a backup of a unit or drop-ins without one", () => {
    const gone = unit("Environment=OLLAMA_MODELS=/data/gone").replace("/bin/ollama", "/bin/uninstalled");
    put("usr/lib/systemd/system/ollama.service", gone);
    put("usr/lib/systemd/system/ollama.service.bak", unit("Environment=OLLAMA_MODELS=/data/bak"));
    put("etc/systemd/system/other.service.d/x.conf", "[Service]\nEnvironment=OLLAMA_MODELS=/data/alone\n");
    put("etc/systemd/system/noexec.service", "[Service]\nEnvironment=OLLAMA_MODELS=/data/noexec\n");
    expect(moved()).toEqual([]);
    put(
      "usr/lib/systemd/system/ollama.service",
      gone.replace("ExecStart=", "ExecStart=+-").replace("uninstalled", "ollama"),
    );
    expect(moved()).toEqual([ollama("/data/gone")]);
  });

  test("accepts absolute paths, expands known specifiers, and drops values with unknown ones", () => {
    for (const value of ["models", "../x", "/", "$HOME/x", "%i/x", "%U/x"]) {
      put("usr/lib/systemd/system/o.service", unit(`Environment=OLLAMA_MODELS=${value}`));
      expect(moved()).toEqual([]);
    }
    put("usr/lib/systemd/system/o.service", unit("Environment=OLLAMA_MODELS=%S/ollama/../m/50%%"));
    expect(moved()).toEqual([ollama("/var/lib/m/50%")]);
  });

  test("reads only the [Service] section, and what UnsetEnvironment= leaves", () => {
    put("usr/lib/systemd/system/o.service", `${unit()}[X-Other]\nEnvironment=OLLAMA_MODELS=/data/x\n`);
    put(
      "usr/lib/systemd/system/p.service",
      unit("Environment=OLLAMA_MODELS=/data/p", "UnsetEnvironment=OLLAMA_MODELS"),
    );
    expect(moved()).toEqual([]);
  });

  test("counts units, files and directories that cannot be read or are too large", () => {
    put(
      "usr/lib/systemd/system/large.service",
      unit(`# ${"x".repeat(70_000)}`, "Environment=OLLAMA_MODELS=/data/x"),
    );
    expect(readSettings(realFiles(), system())).toMatchObject({ moved: [], unreadable: 1 });
    const files = realFiles();
    const list = (path: string): string[] => {
      if (path.endsWith("etc/systemd/system")) throw Object.assign(new Error(path), { code: "EACCES" });
      return files.list(path);
    };
    expect(readSettings({ ...files, list }, system())).toMatchObject({ unreadable: 2 });
  });

  test("stays within its limits on hostile input", () => {
    const many = Array.from({ length: 1500 }, (_, at) => `Environment=OLLAMA_MODELS=/data/${at}`);
    for (let at = 0; at < 90; at += 1)
      put(`usr/lib/systemd/system/u${at}.service`, unit(`Environment=OLLAMA_MODELS=/data/u${at}`));
    put("usr/lib/systemd/system/many.service", unit(...many));
    put(
      "usr/lib/systemd/system/quote.service",
      unit(`Environment="OLLAMA_MODELS=/data/${"\\".repeat(20_000)}`),
    );
    const settings = readSettings(realFiles(), system());
    expect(settings.moved).toHaveLength(64);
    expect(settings.cut).toBeGreaterThan(20);
  });
});

describe("readSettings() of other files", () => {
  test("reads /etc/environment and environment.d; the last file by name wins", () => {
    put("etc/environment", "export HF_HUB_CACHE='/data/hub'\nOLLAMA_MODELS=/data/e\n");
    put("etc/environment.d/50-x.conf", "OLLAMA_MODELS=/data/d\n");
    put("etc/environment.d/60-x.off", "OLLAMA_MODELS=/data/off\n");
    expect(moved()).toEqual([ollama("/data/d"), { store: "huggingface", path: "/data/hub" }]);
  });

  test("HF_HUB_CACHE overrides HF_HOME, which overrides XDG_CACHE_HOME", () => {
    put("etc/environment", "XDG_CACHE_HOME=/c\nHF_HOME=/h\n");
    expect(moved()).toEqual([
      { store: "huggingface", path: "/h/hub" },
      { store: "llama-cpp", path: "/c/llama.cpp" },
    ]);
    put("etc/environment", "XDG_CACHE_HOME=/c\n");
    expect(moved()[0]).toEqual({ store: "huggingface", path: "/c/huggingface/hub" });
  });
});

describe("readSettings() of a home", () => {
  const ADA = 1001;
  const BOB = 1002;
  const home = () => `${root}/home/ada`;
  const source = (): SettingsSource => ({
    of: "home",
    home: home(),
    userUnits: [`${root}/etc/systemd/user`],
  });
  const files = () =>
    ownedFiles({ [`${root}/home/ada`]: { uid: ADA }, [`${root}/home/bob`]: { uid: BOB, mode: 0o600 } });

  test("a user's own unit names only directories of that user", () => {
    put("home/ada/.config/systemd/user/o.service", unit("Environment=OLLAMA_MODELS=%h/big"));
    expect(moved(source(), files())).toEqual([{ ...ollama(`${home()}/big`), ownerUid: ADA }]);
  });

  test("a drop-in of a user applies to the unit that root wrote for all users", () => {
    put("etc/systemd/user/o.service", unit());
    put(
      "home/ada/.config/systemd/user/o.service.d/x.conf",
      "[Service]\nEnvironment=OLLAMA_MODELS=/data/ada\n",
    );
    expect(moved(source(), files())).toEqual([{ ...ollama("/data/ada"), ownerUid: ADA }]);
  });

  test("a user's unit does not make the agent read environment files of others", () => {
    const secret = put("home/bob/secret.env", "OLLAMA_MODELS=/data/bob\n");
    put("home/ada/.config/systemd/user/o.service", unit(`EnvironmentFile=${secret}`));
    expect(readSettings(files(), source())).toEqual({ moved: [], unreadable: 1, cut: 0 });
  });

  test("follows LM Studio's pointer file and its downloadsFolder", () => {
    mkdirSync(home(), { recursive: true });
    expect<unknown>(moved(source(), files())).toEqual([]);
    put("home/ada/.lmstudio/settings.json", JSON.stringify({ downloadsFolder: `${home()}/big/lm` }));
    const lm = (path: string) => ({ store: "lm-studio", path, ownerUid: ADA });
    expect<unknown>(moved(source(), files())).toEqual([lm(`${home()}/big/lm`)]);
    put("home/ada/.lmstudio-home-pointer", `${home()}/elsewhere\n`);
    expect<unknown>(moved(source(), files())).toEqual([
      lm(`${home()}/elsewhere/models`),
      lm(`${home()}/big/lm`),
    ]);
    for (const hostile of ["{", "null", '{"downloadsFolder":7}', '{"downloadsFolder":"x"}']) {
      put("home/ada/.lmstudio/settings.json", hostile);
      expect<unknown>(moved(source(), files())).toEqual([lm(`${home()}/elsewhere/models`)]);
    }
  });

  test("on Windows a user cannot name a directory in the profile of another", () => {
    const windows = "C:\\Users\\ada";
    const texts: Record<string, string> = {};
    const settings = (downloadsFolder: string) => {
      texts[`${windows}/.lmstudio/settings.json`] = JSON.stringify({ downloadsFolder });
      const facts = (path: string) => {
        if (path !== windows && !(path in texts)) throw Object.assign(new Error(path), { code: "ENOENT" });
        const isFile = path in texts;
        return {
          isFile,
          isDirectory: !isFile,
          sizeBytes: 9,
          modifiedMs: 0,
          identity: path,
          ownerUid: 0,
          mode: 0o666,
        };
      };
      const bytes = (path: string) => new TextEncoder().encode(texts[path]);
      const found = moved({ of: "home", home: windows, userUnits: [] }, { ...realFiles(), facts, bytes });
      return found.map(({ path }) => path);
    };
    expect(settings("D:\\models")).toEqual(["D:/models"]);
    expect(settings("c:\\users\\ADA\\models")).toEqual(["c:/users/ADA/models"]);
    expect(settings("C:\\Users\\bob\\models")).toEqual([]);
    expect(settings("C:\\Users\\ada\\..\\bob\\models")).toEqual([]);
  });

  test("settings in a home of root that others can write to are ignored", () => {
    put("shared/.lmstudio-home-pointer", "/data/x");
    const open = ownedFiles({ [`${root}/shared`]: { uid: 0, mode: 0o1777 } });
    expect(moved({ of: "home", home: `${root}/shared`, userUnits: [] }, open)).toEqual([]);
    const closed = ownedFiles({ [`${root}/shared`]: { uid: 0, mode: 0o700 } });
    expect(moved({ of: "home", home: `${root}/shared`, userUnits: [] }, closed)).toHaveLength(1);
  });
});

describe("readSettings() of a process that runs", () => {
  testUnless(
    missing("Linux"),
    "reads its environment only if the process belongs to the expected user",
    async () => {
      const child = Bun.spawn(["sleep", "60"], {
        env: { OLLAMA_MODELS: "/data/run", HF_HOME: "~/hf", HOME: "/home/ada" },
      });
      try {
        const uid = process.getuid!();
        const source = { of: "process", directory: `/proc/${child.pid}`, uid } as const;
        const expected = [ollama("/data/run"), { store: "huggingface", path: "/home/ada/hf/hub" }];
        const owner = uid === 0 ? {} : { ownerUid: uid };
        expect<unknown>(moved(source)).toEqual(expected.map((one) => ({ ...one, ...owner })));
        expect(moved({ ...source, uid: uid + 1 })).toEqual([]);
      } finally {
        child.kill();
        await child.exited;
      }
    },
  );
});
