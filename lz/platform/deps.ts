import type { Clock } from "../../shared/time/clock.ts";
import type { Arguments } from "./arguments.ts";

/** The dependencies of a command. `main.ts` creates them for this process, and tests pass their own. */
export type Deps = {
  clock: Clock;
  /** Returns cryptographically random bytes. */
  random: (length: number) => Uint8Array;
  env: Readonly<Record<string, string | undefined>>;
  /** Root folder of the project, which contains `.local/` and `dist/`. */
  root: string;
  fetch: (request: Request) => Promise<Response>;
  /** Prints progress to stderr. stdout contains only the result. */
  note: (line: string) => void;
  /** Signal that Ctrl-C aborts. A long-running command then stops gracefully. */
  stop: AbortSignal;
  /** Asks the person at the terminal to confirm. Absent if there is no terminal. */
  confirm?: (question: string) => Promise<boolean>;
};

/** Result of a command: `json` for `--json`, `lines` for people. `code` is the exit code, and 1 reports a failure. */
export type Outcome = { json: unknown; lines: readonly string[]; code?: 0 | 1 };

export type Verb = (args: Arguments, deps: Deps) => Promise<Outcome>;
