import type { ParsedValues } from "../../shared/command-line/parse-command.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { Hardware } from "../../shared/wire/hardware.ts";
import type { Settings } from "../daemon/settings.ts";
import type { Environment } from "../network/proxy.ts";
import type { Host } from "../platform/agent-version.ts";

/** All that the commands take from the process they run in. The entry file makes it; tests make another. */
export type Machine = Host & {
  pid: number;
  /** Of this very binary, or of Bun when run from source. */
  execPath: string;
  user: string;
  clock: Clock;
  elapsed: () => number;
  /** Processor time of this process so far, milliseconds. */
  cpuMs: () => number;
  /** Load average of the last minute per core; 0 where the system has none. */
  loadPerCore: () => number;
  random: () => number;
  /** Random id of this process. */
  runId: string;
  /** Fingerprint of this machine for a tenant; undefined when nothing identifies it. */
  hardware: (tenantId: string) => Promise<Hardware | undefined>;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Proxy variables of the environment, taken out of it: `fetch` itself must not read them. */
  proxyVariables: Environment;
  /** Standard input to its end, at most so many characters. */
  input: (charactersMax: number) => Promise<string>;
  print: (line: string) => void;
  complain: (line: string) => void;
  /** Aborted by SIGTERM, SIGINT or, on Windows, Ctrl-C. */
  stopping: AbortSignal;
  /** What else asks the process to stop may do so here. */
  stop: () => void;
};

/** Arguments of a command, and the settings of this call. */
export type Asked = ParsedValues & { settings: Settings };

/**
 * Exit code: 0 success, 1 failure, 2 wrong arguments, 3 no daemon runs (Linux Standard Base), 4 incomplete scan.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4;
export type Verb = (machine: Machine, asked: Asked) => Promise<ExitCode>;

export const fail = (machine: Pick<Machine, "complain">, line: string, code: ExitCode = 1): ExitCode => {
  machine.complain(`lz-agent: ${line}`);
  return code;
};
