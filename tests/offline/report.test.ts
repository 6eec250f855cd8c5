import { describe, expect, test } from "bun:test";
import { readReport, retell } from "../report.ts";

/** Example of a report from Bun 1.4.5. */
const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="6" assertions="3" failures="3" skipped="2" time="0.06">
  <testsuite name="tests/a.test.ts" file="tests/a.test.ts" tests="5" failures="2" skipped="2" hostname="vm">
    <testsuite name="outer &lt;&amp;&gt; &quot;q&quot; &apos;a&apos;" file="tests/a.test.ts" line="2" tests="4">
      <testsuite name="inner" file="tests/a.test.ts" line="3" tests="3">
        <testcase name="a &gt; b" classname="inner &gt; outer" time="0.01" file="tests/a.test.ts" line="4" assertions="1">
          <failure type="AssertionError" message="expect(received).toBe(expected)&#10;&#10;Expected: &quot;&amp;lt;&quot;&#10;Received: &#x1F600;&#10;">AssertionError: expect(received).toBe(expected)&#10;      at tests/a.test.ts:4:53&#10;</failure>
        </testcase>
        <testcase name="left out (needs root, nft)" classname="inner &gt; outer" time="0" file="tests/a.test.ts" line="5" assertions="0">
          <skipped />
        </testcase>
        <testcase name="good" classname="inner &gt; outer" time="0.01" file="tests/a.test.ts" line="6" assertions="1" />
      </testsuite>
      <testcase name="later" classname="outer" time="0" file="tests/a.test.ts" line="11" assertions="0">
        <skipped message="TODO" />
      </testcase>
    </testsuite>
    <testcase name="(unnamed)" classname="" time="0" file="tests/a.test.ts" assertions="0">
      <failure type="TimeoutError" />
    </testcase>
  </testsuite>
  <testsuite name="tests/b.test.ts" file="tests/b.test.ts" tests="1" failures="0" skipped="0" hostname="vm">
    <testcase name="top" classname="" time="0.01" file="tests/b.test.ts" line="1" assertions="1" />
  </testsuite>
</testsuites>
`;

const OUTER = `outer <&> "q" 'a'`;

describe("readReport()", () => {
  test("finds each test once with the names of its suites, and decodes entities once", () => {
    expect(readReport(REPORT)).toEqual({
      files: new Set(["tests/a.test.ts", "tests/b.test.ts"]),
      passed: 2,
      failed: [
        {
          file: "tests/a.test.ts:4",
          name: `${OUTER} › inner › a > b`,
          message: 'expect(received).toBe(expected)\n\nExpected: "&lt;"\nReceived: 😀',
        },
        { file: "tests/a.test.ts", name: "(unnamed)", message: "TimeoutError" },
      ],
      skipped: [
        { file: "tests/a.test.ts:5", name: `${OUTER} › inner › left out (needs root, nft)`, message: "" },
        { file: "tests/a.test.ts:11", name: `${OUTER} › later`, message: "TODO" },
      ],
    });
  });
  test("limits the length of a failure message", () => {
    const long = REPORT.replace('message="expect', `message="${"x".repeat(10_000)}`);
    expect(readReport(long).failed[0]!.message).toHaveLength(2000);
  });
  test("returns no file for a run without a report", () => {
    expect(readReport("")).toEqual({ files: new Set(), passed: 0, failed: [], skipped: [] });
  });
});

describe("retell()", () => {
  test("repeats skipped tests and then failed tests with their messages", () => {
    expect(retell(readReport(REPORT))).toBe(`── did not run (.ci/run installs what these need)
  tests/a.test.ts:5  ${OUTER} › inner › left out (needs root, nft)
  tests/a.test.ts:11  ${OUTER} › later
      TODO
── failed
  tests/a.test.ts:4  ${OUTER} › inner › a > b
      expect(received).toBe(expected)

      Expected: "&lt;"
      Received: 😀
  tests/a.test.ts  (unnamed)
      TimeoutError`);
  });
  test("is empty when all tests passed", () => {
    expect(retell({ failed: [], skipped: [] })).toBe("");
  });
});
