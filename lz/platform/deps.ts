import type { Clock } from "../../shared/time/clock.ts";
import type { Arguments } from "./arguments.ts";

/** Everything that a command uses of its process. `main.ts` builds it; tests pass their own. */
export type Deps = {
  clock: Clock;
  /** Cryptographically random bytes. */
  random: (length: number) => Uint8Array;
  env: Readonly<Record<string, string | undefined>>;
  /** Folder of the project, which holds `.local/` and `dist/`. */
  root: string;
  fetch: (request: Request) => Promise<Response>;
  /** Prints progress to stderr. stdout holds only the result. */
  note: (line: string) => void;
  /** Aborted by Ctrl-C. A long-running command then stops in an orderly way. */
  stop: AbortSignal;
  /** Asks the person at the terminal to confirm. Absent without a terminal. */
  confirm?: (question: string) => Promise<boolean>;
};

/** Result of a command: `json` for `--json`, `lines` for people. `code` is the exit code; 1 reports a failure. */
export type Outcome = { json: unknown; lines: readonly string[]; code?: 0 | 1 };

export type Verb = (args: Arguments, deps: Deps) => Promise<Outcome>;
