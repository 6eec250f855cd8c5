import type { Clock } from "../../shared/time/clock.ts";
import type { Arguments } from "./arguments.ts";

/** All a verb asks of the world. `main.ts` builds it; tests pass their own. */
export type Deps = {
  clock: Clock;
  /** Cryptographically random bytes. */
  random: (length: number) => Uint8Array;
  env: Readonly<Record<string, string | undefined>>;
  /** Folder of the project: `.local/` and `dist/` are looked for there. */
  root: string;
  fetch: (request: Request) => Promise<Response>;
  /** Progress for a person, on stderr: stdout holds the answer and nothing else. */
  note: (line: string) => void;
  /** Ctrl-C. A verb that runs for a while ends its work in order. */
  stop: AbortSignal;
  /** Asks the person at the terminal. Absent when there is no terminal. */
  confirm?: (question: string) => Promise<boolean>;
};

/** What a verb found: `json` for `--json`, `lines` for a person. `code` 1 says that something is wrong. */
export type Outcome = { json: unknown; lines: readonly string[]; code?: 0 | 1 };

export type Verb = (args: Arguments, deps: Deps) => Promise<Outcome>;
