import { describe, expect, test } from "bun:test";
import { cyclonedx, fileOf, packagesIn, TARGETS } from "../../../../tools/build-agent.ts";

describe("packagesIn()", () => {
  const manifests: Record<string, object> = {
    "node_modules/zod/package.json": { name: "zod", version: "4.6.7", license: "MIT" },
    "node_modules/@scope/name/package.json": { name: "@scope/name", version: "1.0.0" },
  };
  const read = (path: string): string => JSON.stringify(manifests[path]);

  test("names every package of the bundle once, including scoped packages, and no source file of the project", () => {
    const inputs = [
      "agent/main.ts",
      "node_modules/zod/v4/core/core.js",
      "node_modules/zod/index.js",
      "../x/node_modules/@scope/name/lib/a.js",
      "shared/node_modules.ts",
    ];
    expect(packagesIn(inputs, read)).toEqual([
      { name: "@scope/name", version: "1.0.0" },
      { name: "zod", version: "4.6.7", licence: "MIT" },
    ]);
  });
});

test("cyclonedx() lists dependencies with a licence or a licence expression", () => {
  const packages = [
    { name: "@scope/name", version: "1.0.0", licence: "MIT OR Apache-2.0" },
    { name: "zod", version: "4.6.7", licence: "MIT" },
    { name: "bare", version: "1.0.0" },
  ];
  // Source: https://cyclonedx.org/docs/1.6/json/. A licence is either an SPDX identifier or an expression.
  expect(cyclonedx("0.1.0", "1.4.5", packages)).toMatchObject({
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    metadata: { component: { "bom-ref": "lz-agent", version: "0.1.0" } },
    components: [
      { type: "platform", name: "bun", version: "1.4.5" },
      { purl: "pkg:npm/%40scope/name@1.0.0", licenses: [{ expression: "MIT OR Apache-2.0" }] },
      { purl: "pkg:npm/zod@4.6.7", licenses: [{ license: { id: "MIT" } }] },
      { purl: "pkg:npm/bare@1.0.0" },
    ],
    dependencies: [
      {
        ref: "lz-agent",
        dependsOn: [
          "pkg:npm/bun@1.4.5",
          "pkg:npm/%40scope/name@1.0.0",
          "pkg:npm/zod@4.6.7",
          "pkg:npm/bare@1.0.0",
        ],
      },
    ],
  });
  expect(JSON.stringify(cyclonedx("0.1.0", "1.4.5", packages))).toBe(
    JSON.stringify(cyclonedx("0.1.0", "1.4.5", packages)),
  );
});

test("fileOf() returns the name of the binary for each of the five platforms", () => {
  expect(TARGETS.map(fileOf)).toEqual([
    "lz-agent-linux-x64",
    "lz-agent-linux-arm64",
    "lz-agent-darwin-arm64",
    "lz-agent-darwin-x64",
    "lz-agent-windows-x64.exe",
  ]);
});
