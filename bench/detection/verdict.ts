import type { Engine } from "../../shared/wire/heartbeat.ts";
import type { AiProgram, Program } from "./program.ts";
import type { Ports, Running } from "./start.ts";

/**
 * Result for one program. `wrong`: the agent reported another product, either instead of or in addition to
 * the right one.
 */
type Outcome = "right" | "wrong" | "missing";

export type Verdict = {
  name: string;
  wanted: readonly string[];
  /** Ids that are not wrong: the expected ids, and the ids of products that the program contains. */
  allowed: readonly string[];
  outcome: Outcome;
  /** Id and confidence of each engine found in the program's processes. */
  named: readonly { id: string; confidence: number; pid?: number; ports: readonly number[] }[];
  /** Properties of the engine that are wrong although its product is right. */
  faults: readonly string[];
  /** Time in ms from the start of listening until the first scan that reports the correct product. */
  appearedMs?: number;
};

const isAi = (program: Program): program is AiProgram => "wanted" in program;

/** @param engines Engines found in the program's own processes. */
export function compareWithProgram(
  { program, ports }: Pick<Running, "program" | "ports">,
  engines: readonly Engine[],
): Verdict {
  const wanted: readonly string[] = isAi(program) ? program.wanted : [];
  const right = engines.filter(({ id }) => wanted.includes(id));
  const allowed = isAi(program) ? [...wanted, ...(program.also ?? [])] : [];
  const others = engines.filter(({ id }) => !allowed.includes(id));
  const outcome: Outcome =
    others.length > 0 ? "wrong" : right.length > 0 || !isAi(program) ? "right" : "missing";
  return {
    name: program.name,
    wanted,
    allowed,
    outcome,
    named: engines.map(({ id, confidence, pid, ports }) => ({
      id,
      confidence,
      ...(pid !== undefined && { pid }),
      ports,
    })),
    faults: right.length > 0 ? faultsOf(program, ports, right) : [],
  };
}

/** Checks that a program is reported once, and that its port, authentication and renaming are reported correctly. */
function faultsOf(program: Program, { own, tls }: Ports, engines: readonly Engine[]): string[] {
  const isServer = engines.some(({ ports }) => ports.length > 0);
  const known = engines.flatMap(({ ports }) => ports);
  // The TLS proxy is itself a server. It may therefore be reported in addition to the program.
  const processes = engines.filter(({ ports }) => tls === undefined || !ports.includes(tls));
  const first = processes[0] ?? engines[0]!;
  return [
    ...(processes.length > 1 ? [`reported ${processes.length} times`] : []),
    ...(own !== undefined && isServer && !known.includes(own) ? [`port ${own} is missing`] : []),
    ...(first.renamed && program.as === undefined ? ["reported as renamed, but is not"] : []),
    ...(!first.renamed && program.as !== undefined ? ["not reported as renamed, but is"] : []),
    ...(program.key && first.auth !== "required"
      ? [`authentication is reported as ${first.auth}, but a key is required`]
      : []),
    ...(!program.key && first.auth === "required" ? ["authentication is required, and no key was set"] : []),
  ];
}

export type Figures = {
  programs: number;
  started: number;
  right: number;
  wrong: number;
  missing: number;
  recallPercent: number;
  precisionPercent: number;
  faults: number;
};

/**
 * Recall is the share of programs that were reported with a correct name and without a wrong one. Precision
 * is the share of correct engines among all reported engines, including engines reported for ordinary servers
 * and other processes.
 */
export function figuresOf(all: number, verdicts: readonly Verdict[], reportedElsewhere: number): Figures {
  const count = (outcome: Outcome) => verdicts.filter((one) => one.outcome === outcome).length;
  const named = verdicts.flatMap(({ named, allowed }) => named.map(({ id }) => allowed.includes(id)));
  const percent = (part: number, whole: number) =>
    whole === 0 ? 100 : Math.round((1000 * part) / whole) / 10;
  return {
    programs: all,
    started: verdicts.length,
    right: count("right"),
    wrong: count("wrong"),
    missing: count("missing"),
    recallPercent: percent(count("right"), verdicts.length),
    precisionPercent: percent(named.filter(Boolean).length, named.length + reportedElsewhere),
    faults: verdicts.reduce((sum, { faults }) => sum + faults.length, 0),
  };
}
