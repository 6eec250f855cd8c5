import { messageOf } from "../../shared/observability/error-message.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { verifyReleaseCode } from "../../shared/wire/release-code.ts";
import type { Identity } from "../identity/device-identity.ts";
import { finishOrder, type OrderDeps, release } from "./carry-out-order.ts";
import { takeCode, writeCodeResult } from "./release-code-file.ts";

/** Maximum number of used codes in the containment state, newest first. */
const USED_CODES_MAX = 64;

export type ReleaseCodeDeps = OrderDeps & {
  directory: string;
  self: () => Pick<Identity, "tenantId" | "assetId" | "jwks">;
  clock: Clock;
};

/** Applies a code that `lz-agent release` has submitted, and writes the result. No-op without a code. */
export async function applyReleaseCode(deps: ReleaseCodeDeps, signal: AbortSignal): Promise<void> {
  const code = takeCode(deps.directory);
  if (code === undefined) return;
  const refusal = await releaseBy(deps, code, signal).catch(messageOf);
  if (refusal !== undefined) deps.log("warn", "release-code.refused", { reason: refusal });
  writeCodeResult(deps.directory, {
    code,
    freed: refusal === undefined,
    ...(refusal !== undefined && { reason: refusal }),
  });
}

/**
 * Ends the isolation with a one-time code. If the code is rejected, returns the reason and leaves the
 * isolation unchanged. Throws if the signature or the claims of the code are invalid.
 */
async function releaseBy(
  deps: ReleaseCodeDeps,
  code: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { store } = deps;
  const self = deps.self();
  const { jti, generation } = await verifyReleaseCode(code, self.jwks, self, deps.clock());
  const { state } = store;
  if (state.usedCodes.includes(jti)) return "the code was already used";
  if (generation < state.report.generation) return "the code is older than the isolation";
  if (state.report.action !== "isolate" && !store.isRecovered()) return "this host is not isolated";
  const { report, traces } = state;
  // A recovered isolation has no generation, so the agent uses the generation that was newest when the code
  // was created.
  const order = {
    generation: Math.max(report.generation, store.isRecovered() ? generation : 0),
    action: "release",
    mode: traces?.mode ?? report.mode,
  } as const;
  const proof = await release(deps, order, signal);
  if (proof.outcome === "failed") return proof.reason ?? "the isolation could not be removed";
  deps.repairs.clear();
  store.update({
    repairs: undefined,
    usedCodes: [jti, ...store.state.usedCodes].slice(0, USED_CODES_MAX),
  });
  finishOrder(deps, order, { ...proof, reason: `released at the host with code ${jti}` });
  deps.log("info", "release-code.applied", { generation: order.generation });
  return undefined;
}
