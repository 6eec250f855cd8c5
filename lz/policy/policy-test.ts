import { z } from "zod";
import { NOT_STORED, replayStoredState } from "../../shared/policy/evaluate/replay-stored-state.ts";
import { telemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import { newPolicy, type Policy } from "../../shared/table/items/policy.ts";
import { createApi } from "../platform/api.ts";
import { connectionOf, parseOrUndefined } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { Misuse } from "../platform/faults.ts";
import { readFile } from "../platform/read-file.ts";
import { count, table } from "../platform/text-table.ts";

const asset = z.looseObject({ assetId: z.string(), hostname: z.string() });
const change = telemetryItem.options[0];

type Fired = { hosts: Set<string>; states: number; risk: string };

/**
 * Evaluates recorded states with another policy and the worker's rules. Shows the rules that would have
 * matched next to those that matched. Writes nothing.
 */
export const run: Verb = async (args, deps) => {
  const wanted = readPolicy(args.operands[0]!);
  const api = createApi(connectionOf(args, deps), deps);
  const since = new Date(deps.clock() - args.integers.days! * 24 * 3600_000).toISOString();
  const would = new Map<string, Fired>();
  const did = new Map<string, Fired>();
  let states = 0;
  for (const { assetId, hostname } of await api.list("/v1/assets", asset, args.integers.limit!)) {
    for (const item of await api.list(`/v1/assets/${assetId}/timeline`, change, 1000)) {
      if (item.at < since) break; // items are sorted newest first
      states++;
      for (const { rule, risk } of item.findings) add(did, rule, risk, hostname);
      for (const { rule, risk } of replayStoredState(item, wanted)) add(would, rule, risk, hostname);
    }
  }
  const rules = [...new Set([...would.keys(), ...did.keys()])].sort();
  const rows = rules.map((rule) => [
    rule,
    would.get(rule)?.risk ?? "-",
    String(would.get(rule)?.hosts.size ?? 0),
    String(did.get(rule)?.hosts.size ?? 0),
  ]);
  const json = rules.map((rule) => ({ rule, would: plain(would.get(rule)), did: plain(did.get(rule)) }));
  return {
    json: { states, since, rules: json, notJudged: NOT_STORED },
    lines: [
      ...table(["RULE", "RISK", "HOSTS WITH THIS POLICY", "HOSTS AS RECORDED"], rows),
      "",
      `${count(states, "recorded state")} since ${since}. Only rules and policy were applied, without baseline and LLM review.`,
      `Telemetry lacks the data for the rules ${NOT_STORED.join(", ")}.`,
    ],
  };
};

function readPolicy(file: string): Policy {
  const parsed = newPolicy.safeParse(parseOrUndefined(readFile(file)));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map((issue) => `${issue.path.join(".") || "policy"}: ${issue.message}`);
  throw new Misuse(`${file} is not a valid policy: ${where.slice(0, 5).join("; ")}`);
}

function add(fired: Map<string, Fired>, rule: string, risk: string, hostname: string): void {
  const known = fired.get(rule) ?? { hosts: new Set<string>(), states: 0, risk };
  known.hosts.add(hostname);
  known.states++;
  fired.set(rule, known);
}

const plain = (fired: Fired | undefined) => ({
  hosts: [...(fired?.hosts ?? [])],
  states: fired?.states ?? 0,
});
