/** A test that did not pass: where it is, what it is called with what it is part of, and what it said. */
export type Told = { file: string; name: string; message: string };

/** What one run of bun's tests came to. */
export type Report = { files: Set<string>; passed: number; failed: Told[]; skipped: Told[] };

/** What an assertion shows of two large values is longer than anybody reads. */
const MESSAGE_CHARS_MAX = 2000;

/** Tags of bun's reports. It escapes `<`, `>` and quotes wherever they are not markup, in attributes too. */
const TAG = /<(\/?)(testsuite|testcase|failure|error|skipped)((?:\s+[\w-]+="[^"]*")*)\s*(\/?)>/g;
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function decode(text: string): string {
  return text.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (entity, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? entity;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}

/**
 * Reads a JUnit report as bun writes it: a suite for each file, in it one for each `describe`, in that the tests.
 * The counts are of the tests themselves, for those that the report states are of what it was started with.
 */
export function readReport(xml: string): Report {
  const report: Report = { files: new Set(), passed: 0, failed: [], skipped: [] };
  const suites: string[] = [];
  let current: Told | undefined;
  let outcome: "passed" | "failed" | "skipped" = "passed";
  const settle = () => {
    if (outcome === "passed") report.passed++;
    else report[outcome].push(current!);
  };
  for (const [, closing, tag, attributes, empty] of xml.matchAll(TAG)) {
    const attribute = (name: string): string =>
      decode(new RegExp(`\\s${name}="([^"]*)"`).exec(attributes!)?.[1] ?? "");
    if (tag === "testsuite") {
      if (closing) suites.pop();
      else if (!empty) suites.push(attribute("name"));
      if (!closing) report.files.add(attribute("file"));
    } else if (tag === "testcase") {
      if (closing) {
        settle();
        continue;
      }
      // The first suite is the file.
      const name = [...suites.slice(1), attribute("name")].join(" › ");
      const line = attribute("line");
      current = { file: attribute("file") + (line && `:${line}`), name, message: "" };
      outcome = "passed";
      if (empty) settle();
    } else if (current && !closing) {
      outcome = tag === "skipped" ? "skipped" : "failed";
      current.message = (attribute("message") || attribute("type")).trim().slice(0, MESSAGE_CHARS_MAX);
    }
  }
  return report;
}

/** Lines that say again what did not pass, for whoever has only the end of a log. Empty when all passed. */
export function retell({ failed, skipped }: Pick<Report, "failed" | "skipped">): string {
  const indented = (message: string) => message && `\n${message.replace(/^(?=.)/gm, "      ")}`;
  const list = (heading: string, told: readonly Told[]) =>
    told.length === 0
      ? []
      : [`── ${heading}`, ...told.map(({ file, name, message }) => `  ${file}  ${name}${indented(message)}`)];
  return [...list("did not run (.ci/run installs what these need)", skipped), ...list("failed", failed)].join(
    "\n",
  );
}
