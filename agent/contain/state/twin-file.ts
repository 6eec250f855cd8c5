import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import type { Log } from "../../platform/log.ts";
import { codeOf, readState, removeIfThere, StateFault, writeAtomically } from "../../platform/state-files.ts";

/**
 * A value in two files of the state directory, `NAME.json` and `NAME.copy.json`. Either is enough: one that was removed,
 * was damaged or cannot be written loses nothing.
 */
export type TwinFile<T> = {
  /** The newer of the two that can be read. Throws {@link StateFault} when there are some and none can be used. */
  read: () => T | undefined;
  /** Writes both, also when the first fails. Throws what went wrong, after that. */
  write: (value: T) => void;
  /** True when both hold exactly this. */
  holds: (value: T) => boolean;
  remove: () => void;
};

export type TwinOptions<T> = {
  directory: string;
  name: string;
  schema: z.ZodType<T>;
  /** Whether `a` is of a later time than `b`; of two that are not, the first file counts. */
  isNewer: (a: T, b: T) => boolean;
};

export function twinFile<T>({ directory, name, schema, isNewer }: TwinOptions<T>): TwinFile<T> {
  const names = [`${name}.json`, `${name}.copy.json`] as const;
  const textOf = (value: T): string => `${JSON.stringify(value)}\n`;
  return {
    read: () => {
      const faults: StateFault[] = [];
      const found = names.flatMap((file): T[] => {
        try {
          const value = readState(directory, file, schema, "the agent replaces it");
          return value === undefined ? [] : [value];
        } catch (cause) {
          if (!(cause instanceof StateFault)) throw cause;
          faults.push(cause);
          return [];
        }
      });
      const [first, second] = found;
      if (first === undefined && faults[0]) throw faults[0];
      return first !== undefined && second !== undefined && isNewer(second, first) ? second : first;
    },
    write: (value) => {
      const faults: unknown[] = [];
      for (const file of names) {
        try {
          writeAtomically(join(directory, file), textOf(value));
        } catch (cause) {
          faults.push(cause);
        }
      }
      if (faults.length > 0) throw faults[0];
    },
    holds: (value) => {
      try {
        return names.every((file) => readFileSync(join(directory, file), "utf8") === textOf(value));
      } catch {
        return false;
      }
    },
    remove: () => {
      for (const file of names) removeIfThere(join(directory, file));
    },
  };
}

export type Saved<T> = {
  /** Never throws: a value that cannot be saved holds all the same, and the log says so. */
  save: (value: T) => void;
  /** Writes the value again when the files do not hold it: they were removed or altered, or could not be written. */
  restore: (value: T) => void;
};

/** Saves a value that is also in memory, and repairs its files. An error that stays the same is logged once. */
export function savedIn<T>(file: Pick<TwinFile<T>, "write" | "holds">, what: string, log: Log): Saved<T> {
  let lastFault: string | undefined;
  function save(value: T): void {
    try {
      file.write(value);
      lastFault = undefined;
    } catch (cause) {
      const fault = codeOf(cause);
      if (fault !== lastFault) log("error", "state-file.not-saved", { what, reason: fault });
      lastFault = fault;
    }
  }
  return {
    save,
    restore: (value) => {
      if (file.holds(value)) return;
      if (lastFault === undefined) log("warn", "state-file.altered", { what });
      save(value);
    },
  };
}
