import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Mode } from "../../../shared/wire/heartbeat.ts";
import { StateFault } from "../../platform/state-files.ts";
import { KEPT_RULES_FILE } from "../state/persisted-rules.ts";
import { stoppedFile } from "./stopped-file.ts";

/** The DNS port. Rules with this port contain addresses of name servers and not of the control plane. */
const NAMES_PORT = "53";

/**
 * Used if containment.json is lost. Derives the blocking mode from the rules for the next boot and the list
 * of stopped processes. Undefined if these files show no isolation.
 */
export function modeOfRemains(directory: string): Exclude<Mode, "observe"> | undefined {
  const rules = readOrEmpty(join(directory, KEPT_RULES_FILE));
  // The rules of mode network drop all traffic that no rule allows. The rules of stop-engines refuse ports
  // and accept all other traffic.
  if (/\bhook output\b.*\bpolicy drop;/.test(rules)) return "network";
  if (/\bhook input\b.*\bpolicy accept;/.test(rules)) return "stop-engines";
  return hasStopped(directory) ? "stop-engines" : undefined;
}

/** Used if the list of control plane addresses is lost. Returns these addresses from the rules for the next boot. */
export function controlAddressesIn(directory: string): string[] {
  const rules = readOrEmpty(join(directory, KEPT_RULES_FILE));
  const accepted = rules.matchAll(/^\s*meta skuid 0 ip6? daddr ([\da-f.:]+) tcp dport (\d+) accept$/gm);
  return [...accepted].filter(([, , port]) => port !== NAMES_PORT).map(([, address = ""]) => address);
}

function hasStopped(directory: string): boolean {
  try {
    return (stoppedFile(directory).read() ?? []).length > 0;
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    return true; // This file exists only if a process was stopped.
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
