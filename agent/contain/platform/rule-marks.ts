import { join } from "node:path";
import { z } from "zod";
import type { Log } from "../../platform/log.ts";
import type { RunCommand } from "../../platform/run-command.ts";
import { readState, removeIfPossible, writeState } from "../../platform/state-files.ts";
import type { Enforcer, Proof } from "../modes/enforcer.ts";
import { savedIn } from "../state/twin-file.ts";
import { BRIDGE_TABLE, TABLE } from "./nftables.ts";

/** Reads the marks that the system assigned to the installed rules. Undefined if no rules are installed. */
export type RuleMarks = () => Promise<string | undefined>;

/**
 * Reads the handles of the agent's tables, chains and rules. The kernel assigns a new handle to each new
 * object (nft(8)). So rules that were deleted and restored between two checks have different handles, even if
 * their text is equal.
 */
export const nftMarks =
  (run: RunCommand): RuleMarks =>
  async () => {
    const listings = await Promise.all(
      [TABLE, BRIDGE_TABLE].map((table) =>
        run(["nft", "--handle", "--stateless", "list", "table", ...table.split(" ")]),
      ),
    );
    const handles = listings.map(({ code, stdout }) =>
      code === 0 ? [...stdout.matchAll(/# handle (\d+)$/gm)].map(([, handle]) => handle).join(" ") : "",
    );
    return handles[0] === "" ? undefined : handles.join(" / ");
  };

/** The marks of the last check, saved for the next start of the agent. */
export type KeptMarks = {
  load: () => string | undefined;
  /** Saves the marks. Undefined deletes them. */
  save: (marks: string | undefined) => void;
};

const MARKS_FILE = "rule-marks.json";
const markFile = z.strictObject({ boot: z.string(), marks: z.string() });

/**
 * Saves marks in the state directory. They are valid until the next boot, which installs the rules again.
 *
 * @param boot id of the current boot
 */
export function keptMarks(directory: string, boot: string, log: Log): KeptMarks {
  const file = {
    write: (marks: string) => writeState(directory, MARKS_FILE, { boot, marks }),
    holds: (marks: string) => read() === marks,
  };
  const saved = savedIn(file, "the marks of the isolation rules", log);
  function read(): string | undefined {
    try {
      const found = readState(directory, MARKS_FILE, markFile);
      return found?.boot === boot ? found.marks : undefined;
    } catch {
      return undefined;
    }
  }
  return {
    load: read,
    save: (marks) => {
      if (marks === undefined) removeIfPossible(join(directory, MARKS_FILE));
      else if (read() !== marks) saved.save(marks);
    },
  };
}

const RESTORED = "the isolation rules were removed and restored between two checks";

const CHANGED_UNWATCHED = "the isolation rules were removed or replaced while the agent was not running";

/**
 * Detects rules that were removed and restored between two checks. A comparison of the rules does not show
 * this. Also detects rules that were changed while the agent was not running.
 */
export function comparingMarks(marks: RuleMarks, enforcer: Enforcer, kept?: KeptMarks): Enforcer {
  let last: string | undefined;
  let isFirst = true;
  const act =
    (carryOut: Enforcer["apply"]): Enforcer["apply"] =>
    async (order, signal) => {
      last = undefined;
      const proof = await carryOut(order, signal);
      isFirst = false;
      last = await marks();
      kept?.save(last);
      return proof;
    };
  return {
    apply: act(enforcer.apply),
    reassert: async (order, signal) => {
      const before = isFirst ? kept?.load() : last;
      const change = isFirst ? CHANGED_UNWATCHED : RESTORED;
      const isOther = before !== undefined && (await marks()) !== before;
      const proof: Proof = await act(enforcer.reassert)(order, signal);
      return isOther ? { ...proof, repaired: proof.repaired ?? change } : proof;
    },
    release: async (order, signal) => {
      last = undefined;
      const proof = await enforcer.release(order, signal);
      isFirst = false;
      kept?.save(undefined);
      return proof;
    },
  };
}
