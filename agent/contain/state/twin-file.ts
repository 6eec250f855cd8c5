import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import type { Log } from "../../platform/log.ts";
import { codeOf, readState, removeIfThere, StateFault, writeAtomically } from "../../platform/state-files.ts";

/**
 * A value in two files of the state directory, `NAME.json` and `NAME.copy.json`. The value survives the loss
 * of one file.
 */
export type TwinFile<T> = {
  /**
   * The newer readable value. Undefined if neither file exists. Throws {@link StateFault} if files exist and
   * none is valid.
   */
  read: () => T | undefined;
  /** Writes both files, even if the first write fails. Then throws the first error. */
  write: (value: T) => void;
  /** True if each of the two files contains exactly this value. */
  holds: (value: T) => boolean;
  remove: () => void;
};

export type TwinOptions<T> = {
  directory: string;
  name: string;
  schema: z.ZodType<T>;
  /** Whether `a` is newer than `b`. If neither is newer, the first file is used. */
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
  /** Saves the value. Logs a failure instead of throwing, because the value stays in memory. */
  save: (value: T) => void;
  /**
   * Writes the value again if the files do not contain it. They may have been removed or modified, or an
   * earlier write may have failed.
   */
  restore: (value: T) => void;
};

/**
 * Saves a value that is also in memory, and restores its files. Logs a repeated error once.
 *
 * @param what name of the value in log messages
 */
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
