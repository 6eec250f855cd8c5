import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileOf, TARGETS } from "../../tools/build-agent.ts";
import { tagFault } from "../../tools/check-release-tag.ts";
import { ROOT } from "../support/stack.ts";

/*
 * GitHub and contributors read these files, but no program uses the files. These tests keep the files
 * consistent with the repository.
 */

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const manifest = JSON.parse(read("package.json")) as {
  license: string;
  version: string;
  scripts: Record<string, string>;
};

/** SHA-256 of https://www.apache.org/licenses/LICENSE-2.0.txt. */
const APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30";
const SUITES = ["offline", "runtimes", "connected", "e2e", "browser"];

type Step = { name?: string; uses?: string; run?: string; with?: Record<string, unknown> };
type Job = {
  "runs-on": string;
  permissions?: Record<string, string>;
  "timeout-minutes"?: number;
  steps: Step[];
  strategy?: { matrix: { os: string[] } };
};
type Workflow = { permissions: unknown; jobs: Record<string, Job> };

const WORKFLOWS = readdirSync(join(ROOT, ".github/workflows"));
const workflow = (file: string) => Bun.YAML.parse(read(`.github/workflows/${file}`)) as Workflow;
const jobsOf = (file: string): Job[] => Object.values(workflow(file).jobs);
const stepsOf = (file: string): Step[] => jobsOf(file).flatMap(({ steps }) => steps);

test("LICENSE is the Apache License 2.0, byte for byte, as package.json says", () => {
  expect(manifest.license).toBe("Apache-2.0");
  expect(createHash("sha256").update(read("LICENSE")).digest("hex")).toBe(APACHE_2_SHA256);
});

test("CHANGELOG.md has an Unreleased section first and one for the version of package.json", () => {
  const versions = [...read("CHANGELOG.md").matchAll(/^## \[([^\]]+)\]/gm)].map(([, version]) => version);
  expect(versions[0]).toBe("Unreleased");
  expect(versions).toContain(manifest.version);
});

test("SECURITY.md describes private reporting and contains no e-mail address", () => {
  const text = read("SECURITY.md");
  expect(text).toContain("Report a vulnerability");
  expect(text).not.toMatch(/[\w.+-]+@[\w-]+\.\w+/);
});

test("every relative link in a Markdown file leads to a file of the repository", () => {
  const pages = ["*.md", "docs/**/*.md"].flatMap((glob) => [...new Bun.Glob(glob).scanSync(ROOT)]);
  const links = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g)].map(([, target]) => ({
      page,
      target: target!,
    })),
  );
  expect(links.length).toBeGreaterThan(20);
  expect(links.filter(({ page, target }) => !existsSync(join(ROOT, dirname(page), target)))).toEqual([]);
});

test("docs/README.md lists every page, and every decision record with its title, date and status", () => {
  const index = read("docs/README.md").replace(/ +/g, " "); // Table cells are padded to the width of their column.
  const pages = readdirSync(join(ROOT, "docs")).filter(
    (name) => name.endsWith(".md") && name !== "README.md",
  );
  expect(pages.filter((name) => !index.includes(`](${name})`))).toEqual([]);
  const rows = readdirSync(join(ROOT, "docs/decisions")).map((name) => {
    const text = read(`docs/decisions/${name}`);
    const [title, date, status] = [/^# (.+)$/m, /^- Date: (\d{4}-\d\d-\d\d)$/m, /^- Status: (.+)$/m].map(
      (part) => part.exec(text)?.[1],
    );
    return `| [${name.slice(0, 4)}](decisions/${name}) | ${title} | ${date} | ${status} |`;
  });
  expect(rows.filter((row) => !index.includes(`${row}\n`))).toEqual([]);
});

test("the platforms job runs on Linux, macOS and Windows", () => {
  const systems = jobsOf("ci.yml").flatMap(({ strategy }) => strategy?.matrix.os ?? []);
  for (const system of ["ubuntu", "macos", "windows"])
    expect(systems.some((name) => name.startsWith(system))).toBe(true);
});

test("CI runs lint, types, the offline suites, the agent self-test, and every suite through .ci/run", () => {
  const commands = stepsOf("ci.yml").map(({ run }) => run ?? "");
  for (const wanted of ["run lint", "run types", "run test offline", "run test:agent", ".ci/run"])
    expect(commands.filter((command) => command.endsWith(wanted))).toHaveLength(1);
});

test.each(WORKFLOWS)("%s runs only commands that exist, with the version of Bun in package.json", (file) => {
  const commands = stepsOf(file).flatMap(({ run }) => run?.trim().split("\n") ?? []);
  expect(commands.length).toBeGreaterThan(0);
  const bun = /^npx -y bun@(?<version>\S+) (?:run (?<script>\S+)|(?<entry>\S+\.ts))(?<rest>.*)$/;
  for (const command of commands) {
    const { version, script, entry, rest } = bun.exec(command)?.groups ?? {};
    if (version === undefined) {
      expect(command).toMatch(/\.ci\/run$|^gh release create "\$GITHUB_REF_NAME" --verify-tag /);
      continue;
    }
    expect(read(".ci/run")).toContain(`bun@${version} `);
    if (entry !== undefined) expect(existsSync(join(ROOT, entry))).toBe(true);
    else expect(Object.keys(manifest.scripts)).toContain(script!);
    const words = rest!.split(" ").filter(Boolean);
    if (script === "test") for (const word of words) expect(SUITES).toContain(word);
    else for (const word of words) expect(["--all", '"$GITHUB_REF_NAME"']).toContain(word);
  }
  expect(existsSync(join(ROOT, ".ci/run"))).toBe(true);
});

test.each(WORKFLOWS)(
  "%s pins actions to a commit, has only read permissions by default, and limits the time of each job",
  (file) => {
    expect(workflow(file).permissions).toEqual({ contents: "read" });
    for (const { uses } of stepsOf(file)) if (uses) expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
    for (const job of jobsOf(file)) expect(job["timeout-minutes"]).toBeLessThanOrEqual(30);
  },
);

test("only the release job has write permissions, and only those that a signed release needs", () => {
  const rights = WORKFLOWS.flatMap((file) =>
    jobsOf(file).flatMap(({ permissions }) => (permissions ? [permissions] : [])),
  );
  expect(rights).toEqual([{ contents: "write", "id-token": "write", attestations: "write" }]);
});

test("the release attaches and attests every file of the build, and verifies the tag before it builds", () => {
  const steps = stepsOf("release.yml");
  const attested = steps.find(({ uses }) => uses?.startsWith("actions/attest-build-provenance@"))?.with?.[
    "subject-path"
  ] as string;
  const published = steps.at(-1)!.run!;
  for (const target of TARGETS) expect(fileOf(target)).toStartWith("lz-agent-");
  for (const file of ["dist/lz-agent-*", "dist/SHA256SUMS", "dist/sbom.cdx.json", "dist/catalogue.json"]) {
    expect(attested.split("\n")).toContain(file);
    expect(published).toContain(` ${file}`);
  }
  const order = steps.map(({ run = "" }) => run);
  const indexOf = (part: string) => order.findIndex((run) => run.includes(part));
  expect(indexOf("check-release-tag")).toBeLessThan(indexOf("build:agent --all"));
});

test("a release tag is v and the version of package.json, and any other tag is rejected", () => {
  expect(tagFault("v1.2.3", "1.2.3")).toBeUndefined();
  for (const tag of ["1.2.3", "v1.2.4", "v1.2.3-rc.1", ""])
    expect(tagFault(tag, "1.2.3")).toContain("v1.2.3");
});

test("CODEOWNERS has a default owner, and its paths exist", () => {
  const lines = read(".github/CODEOWNERS")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/ +/));
  expect(lines[0]![0]).toBe("*");
  for (const [path = "", ...owners] of lines) {
    expect(owners.length).toBeGreaterThan(0);
    for (const owner of owners) expect(owner).toMatch(/^@[\w-]+(?:\/[\w-]+)?$/);
    expect({ path, exists: path === "*" || existsSync(join(ROOT, path)) }).toEqual({ path, exists: true });
  }
});

const FORMS = readdirSync(join(ROOT, ".github/ISSUE_TEMPLATE")).filter((name) => name !== "config.yml");

test.each(FORMS)("issue form %s has the members that GitHub requires", (name) => {
  const form = Bun.YAML.parse(read(`.github/ISSUE_TEMPLATE/${name}`)) as {
    name: string;
    description: string;
    body: { type: string; id?: string; attributes: { label?: string; value?: string; options?: string[] } }[];
  };
  expect(form.name.length * form.description.length).toBeGreaterThan(0);
  const fields = form.body.filter(({ type }) => type !== "markdown");
  expect(fields.length).toBeGreaterThan(0);
  const ids = fields.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { type, attributes } of fields) {
    expect(["input", "textarea", "dropdown", "checkboxes"]).toContain(type);
    expect(attributes.label).toBeString();
    if (type === "dropdown") expect(attributes.options!.length).toBeGreaterThan(1);
  }
});

test("the pull-request template names commands and files that exist", () => {
  const text = read(".github/pull_request_template.md");
  expect(text).toContain("`bun run ok`");
  for (const [, script] of text.matchAll(/`bun run (\S+?)[ `]/g))
    expect(manifest.scripts).toHaveProperty(script!);
  for (const [, file] of text.matchAll(/\b([\w/-]+\.md)\b/g))
    expect(existsSync(join(ROOT, file!))).toBe(true);
});

test(".editorconfig matches the formatter's settings", () => {
  const { formatter } = JSON.parse(read("biome.json")) as {
    formatter: { indentStyle: string; indentWidth: number; lineWidth: number };
  };
  const config = read(".editorconfig");
  expect(config).toContain(
    `indent_style = ${formatter.indentStyle}\nindent_size = ${formatter.indentWidth}\n`,
  );
  expect(config).toContain(`max_line_length = ${formatter.lineWidth}\n`);
});
