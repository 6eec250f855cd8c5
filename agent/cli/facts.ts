import { readFileSync } from "node:fs";
import { arch, hostname, release, type } from "node:os";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { AGENT_VERSION } from "../platform/agent-version.ts";
import type { Machine } from "./machine.ts";

export type Facts = Pick<Heartbeat, "host"> & { version: string };

/** Host name, operating system, architecture and agent version. */
export function factsOf(machine: Pick<Machine, "platform">): Facts {
  return {
    version: AGENT_VERSION,
    host: {
      hostname: tidy(hostname(), 253),
      os: tidy(osName(machine.platform), 120),
      arch: tidy(arch(), 20),
    },
  };
}

function osName(platform: NodeJS.Platform): string {
  if (platform === "linux") {
    try {
      // Source: os-release(5).
      const pretty = /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(readFileSync("/etc/os-release", "utf8"));
      if (pretty) return `${pretty[1]} (Linux ${release()})`;
    } catch {
      // Ignore the error, because some distributions do not have os-release.
    }
  }
  const names: Partial<Record<NodeJS.Platform, string>> = { darwin: "macOS, Darwin", win32: "Windows" };
  return `${names[platform] ?? type()} ${release()}`;
}
