import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ATLAS_VERSION } from "../../../../shared/policy/atlas.ts";
import { CRITICAL_POINTS } from "../../../../shared/policy/evaluate/evaluate.ts";
import { RULES } from "../../../../shared/policy/rules/rules.ts";
import { compareVersions } from "../../../../shared/policy/version.ts";
import { VULNERABILITIES } from "../../../../shared/policy/vulnerabilities.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { WEBHOOK_EVENTS } from "../../../../shared/table/items/webhook.ts";
import { ROOT } from "../../../support/stack.ts";

/** Reads a page and removes the spaces that align its tables. */
const page = (name: string) =>
  readFileSync(join(ROOT, "docs", name), "utf8")
    .replace(/ +\|/g, " |")
    .replace(/^\|-+/gm, "|-");

test("docs/rules.md lists exactly the rules of the code", () => {
  const rows = page("rules.md").match(/^\| `[a-z-]+` \|.*$/gm) as string[];
  expect(rows).toEqual(
    RULES.map(
      ({ id, points, pointsMax, atlas, title }) =>
        `| \`${id}\` | ${pointsMax === undefined ? points : `${points} to ${pointsMax}`} | ${points >= CRITICAL_POINTS ? "CRITICAL" : "WARNING"} | ${atlas} | ${title} |`,
    ),
  );
  // The risk in the table must be correct for all points that a rule can have.
  for (const { points, pointsMax = points } of RULES)
    expect(points >= CRITICAL_POINTS).toBe(pointsMax >= CRITICAL_POINTS);
  for (const { remediation } of RULES) expect(page("rules.md")).toContain(remediation);
  expect(page("rules.md")).toContain(`ATLAS\n${ATLAS_VERSION}`);
});

test("docs/policy.md explains every field of the schema", () => {
  const rows = page("policy.md")
    .match(/^\| `.*$/gm)!
    .join("\n");
  for (const field of Object.keys(policy.shape)) expect(rows).toContain(`\`${field}\``);
});

test("every vulnerability has a source, an entry in docs/rules.md and a valid range", () => {
  for (const { id, source, from, fixed } of VULNERABILITIES) {
    expect(source).toBe(`https://nvd.nist.gov/vuln/detail/${id}`);
    expect(page("rules.md")).toContain(`[${id}](${source})`);
    expect(compareVersions(fixed, fixed)).toBe(0);
    if (from !== undefined) expect(compareVersions(from, fixed)).toBe(-1);
  }
  expect(new Set(VULNERABILITIES.map(({ id }) => id)).size).toBe(VULNERABILITIES.length);
  expect(new Set(WEBHOOK_EVENTS).size).toBe(WEBHOOK_EVENTS.length);
});

test("compareVersions() orders releases, and returns undefined for text that is not a version", () => {
  const ascending = [
    "0.1.9",
    "0.1.10",
    "0.9",
    "0.10.0rc1",
    "0.10.0",
    "0.10.1",
    "0.10.1.1",
    "1.0.0-rc.1",
    "1.0.0",
    "v1.0.1+cu121",
  ];
  for (const [i, a] of ascending.entries())
    for (const [j, b] of ascending.entries()) expect(compareVersions(a, b)).toBe(Math.sign(i - j));
  expect(compareVersions("1.0", "1.0.0")).toBe(0);
  expect(compareVersions("b3560", "b3561")).toBe(-1);
  expect(compareVersions("b3561-b6a1c2d", "b3561")).toBe(0);
  // These texts are not comparable versions: commits, a date without separators, and builds without history.
  for (const none of ["", "latest", "main-2024", "x1.2", "5f3a2b1", "0a1b2c3", "1234567890"])
    expect(compareVersions(none, "1.0")).toBeUndefined();
  for (const none of ["b0-unknown", "b1-9f2a1b3", "0.0.4500", "0.9.4"])
    expect(compareVersions(none, "b3561")).toBeUndefined();
  expect([compareVersions("b2", "b3561"), compareVersions("3560", "b3561")]).toEqual([-1, -1]);
});
