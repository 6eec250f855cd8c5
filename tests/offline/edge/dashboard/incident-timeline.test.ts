import { describe, expect, test } from "bun:test";
import type { CustodyView } from "../../../../edge/control/custody/list-custody.ts";
import type { IncidentView } from "../../../../edge/control/incidents/list-incidents.ts";
import { incidentTimeline } from "../../../../edge/dashboard/incidents/incident-timeline.ts";
import type { Finding, TelemetryChange } from "../../../../shared/table/items/asset/telemetry.ts";
import { engineOf } from "../../../browser/seed.ts";

const at = (minute: number) => `2026-11-21T10:${String(minute).padStart(2, "0")}:00.000Z`;

const finding = (more: Partial<Finding> = {}): Finding => ({
  rule: "exposed-engine",
  engine: "ollama",
  engineName: "Ollama",
  risk: "WARNING",
  points: 40,
  explanation: "Ollama listens on 0.0.0.0.",
  ...more,
});
const incident = (more: Partial<IncidentView> = {}): IncidentView => ({
  ...finding(),
  id: "A.exposed-engine.ollama",
  assetId: "A",
  status: "OPEN",
  hostname: "h",
  openedAt: at(10),
  lastSeenAt: at(20),
  ...more,
});
const state = (minute: number, findings: Finding[], bind = ["0.0.0.0"]) =>
  ({
    at: at(minute),
    findings,
    engines: [engineOf({ id: "ollama", pid: 7, bind }), engineOf({ id: "jan", name: "Jan", pid: minute })],
  }) as unknown as TelemetryChange;
const record = (minute: number, more: Partial<CustodyView>) =>
  ({ at: at(minute), assetId: "A", operatorId: "mara", ...more }) as CustodyView;

/** Formats the timeline as text with one line for each entry: `minute end: change | change`. */
const told = (...given: Parameters<typeof incidentTimeline>) =>
  incidentTimeline(...given).map(
    ({ at, changes, end }) =>
      `${Number(at.slice(14, 16))} ${end}: ${changes.map(({ kind, words }) => `${kind} ${words}`).join(" | ")}`,
  );

describe("incidentTimeline() shows", () => {
  test("how the finding appeared, got worse, got better and ended, with changes of its engine only", () => {
    const worse = finding({ risk: "CRITICAL", points: 80, explanation: "And asks for no credential." });
    const states = [
      state(20, []),
      state(16, [finding()]),
      state(12, [worse]),
      state(10, [finding()]),
      state(5, [finding({ rule: "another" })], ["127.0.0.1"]),
    ];
    expect(told(incident(), states, [])).toEqual([
      "20 no finding: better No longer found",
      "16 40 points: better CRITICAL 80 → WARNING 40: Ollama listens on 0.0.0.0.",
      "12 80 points: worse WARNING 40 → CRITICAL 80: And asks for no credential.",
      "10 40 points: appeared Ollama listens on 0.0.0.0. | worse Ollama is now reachable from other hosts",
    ]);
  });

  test("the finding in the oldest state without claiming that it began then", () => {
    expect(told(incident(), [state(15, [finding()])], [])).toEqual([
      "15 40 points: note Found in the oldest state shown: Ollama listens on 0.0.0.0.",
    ]);
    expect(told(incident(), [state(10, [finding()])], [])).toEqual([
      "10 40 points: appeared Ollama listens on 0.0.0.0.",
    ]);
    expect(told(incident(), [state(10, [])], [])).toEqual([]);
  });

  test("actions on the incident, and actions on its host while it was open", () => {
    const records = [
      record(30, { action: "isolate", mode: "network" }),
      record(20, { action: "resolve", target: "A.exposed-engine.ollama", justification: "bound again" }),
      record(14, { action: "isolate", mode: "observe", justification: "INC-1" }),
      record(12, { action: "acknowledge", target: "A.exposed-engine.ollama" }),
      record(11, { action: "acknowledge", target: "A.exposed-engine.jan" }),
      record(9, { action: "release" }),
      record(8, { action: "acknowledge", target: "A.exposed-engine.ollama" }),
    ];
    const resolved = incident({ status: "RESOLVED", resolvedAt: at(20), resolvedBy: "mara" });
    expect(told(resolved, [], records)).toEqual([
      "20 mara: better Resolved: bound again",
      "14 mara: note Isolation requested, mode observe: INC-1",
      "12 mara: note Acknowledged",
      "8 mara: note Acknowledged",
    ]);
  });

  test("the automatic closing, which has no custody record", () => {
    const closed = incident({ status: "RESOLVED", resolvedAt: at(25), resolution: "the condition was gone" });
    expect(told(closed, [], [])).toEqual(["25 automatic: better Resolved: the condition was gone"]);
  });
});
