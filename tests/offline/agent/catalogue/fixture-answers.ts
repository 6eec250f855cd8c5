import type { Answer } from "../../../../agent/catalogue/http-answer.ts";
import type { ProbeResult } from "../../../../agent/scan/probe/probe.ts";

/** The HTTP response of a fixture for a path. Throws an error if the fixture has no response for the path. */
export function answerOf(result: ProbeResult): Answer {
  if ("failed" in result) throw new Error(`the fixture does not answer: ${result.failed}`);
  return result;
}
