import type { Answer } from "../../../../agent/catalogue/http-answer.ts";
import type { ProbeResult } from "../../../../agent/scan/probe/probe.ts";

/** The HTTP answer of a probe of a fixture. Throws when the fixture has no answer for the path. */
export function answerOf(result: ProbeResult): Answer {
  if ("failed" in result) throw new Error(`the fixture does not answer: ${result.failed}`);
  return result;
}
