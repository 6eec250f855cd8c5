/** A failed or skipped test: file, full name, and failure message. */
export type UnpassedTest = { file: string; name: string; message: string };

/** Result of one run of `bun test`. */
export type Report = { files: Set<string>; passed: number; failed: UnpassedTest[]; skipped: UnpassedTest[] };

/**
 * Maximum length of a failure message. Longer messages are cut, because two large values in an assertion are
 * not readable.
 */
const MESSAGE_CHARS_MAX = 2000;

/**
 * Matches tags of Bun's JUnit reports. Outside markup, Bun always escapes `<`, `>` and quotes, also in
 * attributes.
 */
const TAG = /<(\/?)(testsuite|testcase|failure|error|skipped)((?:\s+[\w-]+="[^"]*")*)\s*(\/?)>/g;
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function decode(text: string): string {
  return text.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (entity, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? entity;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}

/**
 * Reads a JUnit report of Bun. The report has one suite for each file, with nested suites for each
 * `describe`. This function counts the tests itself, because the totals of the report include tests that were
 * filtered out.
 */
export function readReport(xml: string): Report {
  const report: Report = { files: new Set(), passed: 0, failed: [], skipped: [] };
  const suites: string[] = [];
  let current: UnpassedTest | undefined;
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
      // The outermost suite is the file. The full name of a test does not contain the file.
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

/** Returns lines that repeat the failed and skipped tests at the end of the log. Empty if all tests passed. */
export function retell({ failed, skipped }: Pick<Report, "failed" | "skipped">): string {
  const indented = (message: string) => message && `\n${message.replace(/^(?=.)/gm, "      ")}`;
  const list = (heading: string, told: readonly UnpassedTest[]) =>
    told.length === 0
      ? []
      : [`── ${heading}`, ...told.map(({ file, name, message }) => `  ${file}  ${name}${indented(message)}`)];
  return [...list("did not run (.ci/run installs what these need)", skipped), ...list("failed", failed)].join(
    "\n",
  );
}
