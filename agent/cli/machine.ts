import type { ParsedValues } from "../../shared/command-line/parse-command.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { Hardware } from "../../shared/wire/hardware.ts";
import type { Settings } from "../daemon/settings.ts";
import type { Environment } from "../network/proxy.ts";
import type { Host } from "../platform/agent-version.ts";

/** Everything that the commands use of their process. The entry file builds it; tests pass their own. */
export type Machine = Host & {
  pid: number;
  /** Path of this binary, or of Bun when the agent runs from source. */
  execPath: string;
  user: string;
  clock: Clock;
  /** Milliseconds that this process ran, by a monotonic clock. */
  elapsed: () => number;
  /** CPU time of this process so far, milliseconds. */
  cpuMs: () => number;
  /** Load average of the last minute per core; 0 where the system has none. */
  loadPerCore: () => number;
  random: () => number;
  /** Random id of this process. */
  runId: string;
  /** Fingerprint of this machine for a tenant; undefined when nothing identifies it. */
  hardware: (tenantId: string) => Promise<Hardware | undefined>;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Proxy variables. They are removed from the environment, because `fetch` itself must not read them. */
  proxyVariables: Environment;
  /** Reads standard input to its end, or to this many characters. */
  input: (charactersMax: number) => Promise<string>;
  /** Writes a line to stdout. */
  print: (line: string) => void;
  /** Writes a line to stderr. */
  complain: (line: string) => void;
  /** Aborted by SIGTERM, SIGINT or `stop`. */
  stopping: AbortSignal;
  /** Stops the process as a signal does. The Windows service manager calls it. */
  stop: () => void;
};

/** Arguments of a command, and the settings of this call. */
export type Asked = ParsedValues & { settings: Settings };

/**
 * Exit code: 0 success, 1 failure, 2 wrong arguments, 3 daemon not running (as in the Linux Standard Base), 4 incomplete
 * scan.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4;
export type Verb = (machine: Machine, asked: Asked) => Promise<ExitCode>;

export const fail = (machine: Pick<Machine, "complain">, line: string, code: ExitCode = 1): ExitCode => {
  machine.complain(`lz-agent: ${line}`);
  return code;
};
