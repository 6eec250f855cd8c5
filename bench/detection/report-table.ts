import type { Stray } from "./lab.ts";
import type { Figures, Verdict } from "./verdict.ts";

export type LabReport = Figures & {
  set: string;
  ordinary: number;
  ordinaryReported: number;
  verdicts: readonly Verdict[];
  notStarted: readonly { name: string; reason: string }[];
  strays: readonly Stray[];
};

const seconds = (ms: number | undefined): string => (ms === undefined ? "" : (ms / 1000).toFixed(1));
const namesOf = ({ named }: Verdict): string =>
  named.map(({ id, confidence }) => `${id} ${confidence}`).join(", ") || "nothing";

/** The report as lines of Markdown, for the documentation. */
export function tableOf(report: LabReport): string[] {
  const { set, started, programs, right, wrong, missing, recallPercent, precisionPercent } = report;
  const ai = report.verdicts.filter(({ wanted }) => wanted.length > 0);
  const reported = report.verdicts.filter(({ wanted, named }) => wanted.length === 0 && named.length > 0);
  return [
    `Set ${set}: ${started} of ${programs} programs started; ${right} right, ${wrong} wrong, ${missing} missing.`,
    `Recall ${recallPercent} %, precision ${precisionPercent} %; ${report.ordinaryReported} of ${report.ordinary} ordinary servers reported.`,
    "",
    "| Program | Wanted | Named (confidence) | Result | Appeared after, s | Also wrong |",
    "| ------- | ------ | ------------------ | ------ | ----------------- | ---------- |",
    ...ai.map(
      (one) =>
        `| ${one.name} | ${one.wanted[0]} | ${namesOf(one)} | ${one.outcome} | ${seconds(one.appearedMs)} | ${one.faults.join("; ")} |`,
    ),
    ...reported.map((one) => `| ${one.name} | nothing | ${namesOf(one)} | wrong | | |`),
    ...report.strays.map(({ id, name, detail }) => `unexpected: ${id} in ${name}: ${detail}`),
    ...report.notStarted.map(
      ({ name, reason }) => `not started: ${name}: ${reason.split("\n").at(-1)!.slice(0, 300)}`,
    ),
  ];
}
