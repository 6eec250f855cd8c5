import type { ParsedValues } from "../../shared/command-line/parse-command.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { Hardware } from "../../shared/wire/hardware.ts";
import type { Settings } from "../daemon/settings.ts";
import type { Environment } from "../network/proxy.ts";
import type { Host } from "../platform/agent-version.ts";

/** Everything that the commands use from their process. The entry file creates it, and tests pass test doubles. */
export type Machine = Host & {
  pid: number;
  /** Path of this binary, or the path of Bun when the agent runs from source. */
  execPath: string;
  user: string;
  clock: Clock;
  /** Milliseconds since this process started, by a monotonic clock. */
  elapsed: () => number;
  /** CPU time that this process has used, in milliseconds. */
  cpuMs: () => number;
  /** Load average per core over the last minute. 0 on systems without a load average. */
  loadPerCore: () => number;
  random: () => number;
  /** Random id of this process. */
  runId: string;
  /** Fingerprint of this machine for a tenant. Undefined if the machine has no usable identifier. */
  hardware: (tenantId: string) => Promise<Hardware | undefined>;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Proxy variables that were removed from the environment, so that `fetch` does not read them. */
  proxyVariables: Environment;
  /** Reads standard input to its end, or up to `charactersMax` characters. */
  input: (charactersMax: number) => Promise<string>;
  /** Writes a line to stdout. */
  print: (line: string) => void;
  /** Writes a line to stderr. */
  complain: (line: string) => void;
  /** Aborted by SIGTERM, SIGINT or `stop`. */
  stopping: AbortSignal;
  /** Stops the process in the same way as a signal. The Windows service manager calls it. */
  stop: () => void;
};

/** Arguments of a command, and the settings of this call. */
export type Asked = ParsedValues & { settings: Settings };

/**
 * Exit code: 0 for success, 1 for failure, 2 for wrong arguments, 3 if the daemon is not running (as in the
 * Linux Standard Base), and 4 for an incomplete scan.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4;
export type Verb = (machine: Machine, asked: Asked) => Promise<ExitCode>;

export const fail = (machine: Pick<Machine, "complain">, line: string, code: ExitCode = 1): ExitCode => {
  machine.complain(`lz-agent: ${line}`);
  return code;
};
