import type { RunCommand } from "../command.ts";
import type { Enforcer, Proof } from "./enforcer.ts";
import { BRIDGE_TABLE, TABLE } from "./nftables.ts";

/** Marks that the system gives to rules as they are put. Undefined when there are none. */
export type RuleMarks = () => Promise<string | undefined>;

/**
 * The handles of our tables, chains and rules. The kernel gives each a new one when it is made, so that rules which were
 * deleted and restored between two looks differ from the rules that were put, although they read the same (nft(8)).
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

const RESTORED = "the isolation rules were taken away and restored between two looks";

/** Finds out what was altered and restored between two looks, which a comparison of the rules cannot see. */
export function comparingMarks(marks: RuleMarks, enforcer: Enforcer): Enforcer {
  let last: string | undefined;
  const act =
    (carryOut: Enforcer["apply"]): Enforcer["apply"] =>
    async (order, signal) => {
      last = undefined;
      const proof = await carryOut(order, signal);
      last = await marks();
      return proof;
    };
  return {
    apply: act(enforcer.apply),
    reassert: async (order, signal) => {
      const isOther = last !== undefined && (await marks()) !== last;
      const proof: Proof = await act(enforcer.reassert)(order, signal);
      return isOther ? { ...proof, repaired: proof.repaired ?? RESTORED } : proof;
    },
    release: async (order, signal) => {
      last = undefined;
      return enforcer.release(order, signal);
    },
  };
}
