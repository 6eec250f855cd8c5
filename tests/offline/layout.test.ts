import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { ROOT } from "../support/stack.ts";

/**
 * Folders from which each folder can import, in the order of the data flow. Each folder can also import from
 * itself. A folder imports only from folders above it in this table. architecture.test.ts checks packages and
 * `shared/`. Files outside these folders connect the folders.
 */
const MAY_IMPORT: Record<string, Record<string, string>> = {
  agent: {
    platform: "",
    network: "platform",
    catalogue: "",
    scan: "catalogue platform",
    identity: "network platform scan",
    report: "identity network platform scan",
    contain: "identity network platform report scan",
    daemon: "catalogue contain identity network platform report scan",
    install: "contain platform",
    doctor: "daemon identity network platform",
    cli: "catalogue contain daemon doctor identity install network platform report scan",
  },
  edge: {
    runtime: "",
    credentials: "",
    platform: "credentials runtime",
    http: "platform",
    auth: "http platform",
    catalogue: "http",
    // Heartbeats are the hot path. It imports neither the domain (`control`) nor the pages.
    heartbeat: "http platform runtime",
    directive: "heartbeat http",
    control: "auth heartbeat platform",
    enrolment: "control heartbeat http platform",
    api: "auth control http",
    dashboard: "api auth control http",
  },
  worker: {
    platform: "",
    heartbeat: "platform",
    assess: "heartbeat platform",
    record: "assess heartbeat platform",
    receive: "heartbeat platform record",
    review: "assess heartbeat platform record",
    deliver: "platform",
    fleet: "platform",
  },
  lz: {
    platform: "",
    assets: "platform",
    capacity: "platform",
    containment: "assets platform",
    custody: "platform",
    doctor: "platform",
    keys: "platform",
    policy: "platform",
    queue: "platform",
  },
  shared: {
    encoding: "",
    time: "",
    observability: "time",
    "command-line": "",
    wire: "encoding",
    queue: "encoding observability wire",
    table: "time wire",
    policy: "table time wire",
    containment: "encoding table wire",
    authority: "containment encoding observability table wire",
    events: "table time",
    tenant: "authority table",
    fleet: "authority containment policy table time wire",
    export: "authority encoding table",
  },
};

/** Modules that contain only types and refer to every folder. Every folder can import these modules. */
const TYPES_OF_ALL = new Set(["edge/request-env.ts"]);

const FILES_A_FOLDER_MAX = 20;
const FILE_LINES_MAX = 400;
/** Folders with one data file for each product. These folders can contain more files than other folders. */
const DATA_FOLDERS = new Set(["agent/catalogue/engines"]);

const files = [...new Bun.Glob("{shared,agent,edge,worker,lz,local,tools}/**/*.{ts,tsx}").scanSync(ROOT)].map(
  (path) => path.replaceAll("\\", "/"),
);

/** Modules that a file imports, including type imports, as paths from the root. */
function importsOf(path: string): string[] {
  const found = readFileSync(join(ROOT, path), "utf8").matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map(([, specifier]) => normalize(join(dirname(path), specifier!)).replaceAll("\\", "/"));
}

const imports = new Map(files.map((path) => [path, importsOf(path)]));

/** Stage and folder of a file. Undefined for a file outside the folders of its stage. */
const folderOf = (path: string): [stage: string, folder: string] | undefined => {
  const [stage = "", folder = "", ...rest] = path.split("/");
  return rest.length > 0 && stage in MAY_IMPORT ? [stage, folder] : undefined;
};

test("every folder of a stage is in the table", () => {
  const places = files.flatMap((path) => {
    const place = folderOf(path);
    return place ? [place.join("/")] : [];
  });
  const known = Object.entries(MAY_IMPORT).flatMap(([stage, folders]) =>
    Object.keys(folders).map((folder) => `${stage}/${folder}`),
  );
  expect([...new Set(places)].sort()).toEqual(known.sort());
});

test("the table has no cycle, because each folder imports only folders above it", () => {
  for (const [stage, folders] of Object.entries(MAY_IMPORT)) {
    const seen = new Set<string>();
    const wrong = Object.entries(folders).flatMap(([folder, allowed]) => {
      const early = allowed.split(" ").filter((name) => name !== "" && !seen.has(name));
      seen.add(folder);
      return early.map((name) => `${stage}/${folder} names ${name}`);
    });
    expect(wrong).toEqual([]);
  }
});

test("a folder imports only what the table allows, including type imports", () => {
  const wrong = files.flatMap((path) => {
    const place = folderOf(path);
    if (!place) return [];
    const [stage, folder] = place;
    const allowed = new Set([folder, ...MAY_IMPORT[stage]![folder]!.split(" ")]);
    return imports
      .get(path)!
      .filter((target) => {
        const there = folderOf(target);
        if (there) return there[0] === stage && !allowed.has(there[1]);
        // Files outside the folders of a stage connect these folders, so the folders must not import such
        // files. In `shared/`, every folder can import them (for example `shared/ids.ts`).
        return target.startsWith(`${stage}/`) && stage !== "shared" && !TYPES_OF_ALL.has(target);
      })
      .map((target) => `${path} imports ${target}`);
  });
  expect(wrong).toEqual([]);
});

test("there is no import cycle, including type imports", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) circles.push([...trail.slice(at), path].join(" → "));
    if (at >= 0 || done.has(path)) return;
    for (const target of imports.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of files) visit(path, []);
  expect(circles).toEqual([]);
});

test("a source file has at most 400 lines", () => {
  const long = files.flatMap((path) => {
    const lines = readFileSync(join(ROOT, path), "utf8").split("\n").length - 1;
    return lines > FILE_LINES_MAX ? [`${path}: ${lines}`] : [];
  });
  expect(long).toEqual([]);
});

test("a folder holds at most 20 files", () => {
  const tests = [...new Bun.Glob("tests/**/*.{ts,tsx}").scanSync(ROOT)].map((path) =>
    path.replaceAll("\\", "/"),
  );
  const counts = Map.groupBy([...files, ...tests], (path) => dirname(path));
  const large = [...counts].filter(
    ([folder, inside]) => inside.length > FILES_A_FOLDER_MAX && !DATA_FOLDERS.has(folder),
  );
  expect(large.map(([folder, inside]) => `${folder}: ${inside.length}`)).toEqual([]);
});

test("every file and folder named in the architecture page and CONTRIBUTING exists", () => {
  const named = ["docs/architecture.md", "CONTRIBUTING.md"].flatMap((page) =>
    [
      ...readFileSync(join(ROOT, page), "utf8").matchAll(
        /`((?:agent|edge|worker|shared|lz|tests|tools)\/[\w./-]*)`/g,
      ),
    ].map(([, path]) => path!),
  );
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
