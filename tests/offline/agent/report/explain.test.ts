import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PATHS } from "../../../../agent/network/control-plane-client.ts";
import { MESSAGES } from "../../../../agent/network/messages.ts";
import {
  explain,
  explanationText,
  fieldsOf,
  HEADERS_SENT,
  REASONS,
  valuesAt,
} from "../../../../agent/report/explain.ts";
import type { Heartbeat } from "../../../../shared/wire/heartbeat.ts";

const names = Object.keys(MESSAGES) as (keyof typeof MESSAGES)[];

test.each(names)("REASONS has a reason for every field of the message %s, and for no other field", (name) => {
  expect(Object.keys(REASONS[name]).sort()).toEqual(
    fieldsOf(MESSAGES[name])
      .map(({ path }) => path)
      .sort(),
  );
});

test.each(names)(
  "docs/privacy.md lists every field of the message %s with its reason, and no other field",
  (name) => {
    const document = readFileSync(new URL("../../../../docs/privacy.md", import.meta.url), "utf8");
    const section = document.split(/^### /m).find((part) => part.startsWith(`\`${name}\``)) ?? "";
    const rows = [...section.matchAll(/^\| `([^`]+)` *\| ([^|]+) \| ([^|]+) \|$/gm)].map(
      ([, path, , why]) => [path, why?.trim()],
    );
    expect(rows).toEqual(fieldsOf(MESSAGES[name]).map(({ path }) => [path, REASONS[name][path]]));
    expect(document).toContain(HEADERS_SENT);
  },
);

test("docs/privacy.md names the path of every message", () => {
  const document = readFileSync(new URL("../../../../docs/privacy.md", import.meta.url), "utf8");
  const sections = document.split(/^### /m).slice(1);
  const posted = sections.map((section) => [
    /^`(\w+)`/.exec(section)?.[1],
    /`POST ([^`]+)`/.exec(section)?.[1],
  ]);
  expect(posted).toEqual(names.map((name) => [name, PATHS[name]]));
});

test("only control-plane-client.ts sends a request body to the control plane", () => {
  const agent = new URL("../../../../agent", import.meta.url).pathname;
  const sources = (readdirSync(agent, { recursive: true }) as string[]).filter((name) =>
    name.endsWith(".ts"),
  );
  const bodies = sources.filter((name) =>
    /method: *"(?!GET|HEAD)/.test(readFileSync(join(agent, name), "utf8")),
  );
  expect(bodies).toEqual(["network/control-plane-client.ts"]);
});

test("no message has a field named after a prompt, a command line, file content or an environment", () => {
  const forbidden = /prompt|command|argv|argument|content|environment|password|secret|body|query/i;
  for (const name of names)
    for (const { path } of fieldsOf(MESSAGES[name])) expect(path).not.toMatch(forbidden);
});

const beat = {
  v: 1,
  engines: [
    { id: "ollama", ports: [11434, 8080], models: [{ name: "a" }, { name: "b" }] },
    { id: "jan", ports: [], models: [] },
  ],
  containment: { probes: undefined },
} as unknown as Heartbeat;

test("valuesAt() flattens lists and skips absent members", () => {
  expect(valuesAt(beat, "engines[].models[].name")).toEqual(["a", "b"]);
  expect(valuesAt(beat, "engines[].ports[]")).toEqual([11434, 8080]);
  expect(valuesAt(beat, "containment.probes.forbiddenBlocked")).toEqual([]);
  expect(valuesAt(undefined, "x.y")).toEqual([]);
});

test("explain() returns the current value of every field, and explanationText() shows it", () => {
  const fields = explain({
    heartbeat: beat,
    session: { agentVersion: "0.1.0" },
    directive: { v: 1, generation: 7 },
  });
  expect(fields).toHaveLength(names.reduce((sum, name) => sum + fieldsOf(MESSAGES[name]).length, 0));
  const text = explanationText(fields);
  expect(text).toContain('engines[].id\n    now: "ollama", "jan"\n    why: ');
  expect(text).toContain("generation\n    now: 7\n");
  expect(text).toContain("spool.dropped\n    now: not sent now");
});

test("explanationText() says that it shortens values, and how to see them completely", () => {
  const field = { message: "heartbeat", path: "x", type: "string", why: "y" };
  const text = explanationText([
    { ...field, values: ["a".repeat(100), "b", "c", "d", "e", "e"] },
    { ...field, path: "z", values: ["a".repeat(68)] },
  ]);
  expect(text).toContain(`now: "${"a".repeat(69)}…, "b", "c", "d" and 1 more\n`);
  expect(text).toContain(`now: "${"a".repeat(68)}"\n`);
  expect(text).toContain(
    "For each field, at most 4 different values are shown, each shortened to 70 characters. Use --json for all values.",
  );
});

test("explanationText() shows two values as different even if they differ only in the shortened part", () => {
  const values = [`${"a".repeat(80)}1`, `${"a".repeat(80)}2`];
  const text = explanationText([{ message: "heartbeat", path: "x", type: "string", why: "y", values }]);
  expect(text).toContain(`"${"a".repeat(69)}…, "${"a".repeat(69)}…`);
});
