import { evaluate, sum } from "../../shared/policy/evaluate/evaluate.ts";
import type { IdentityConflict } from "../../shared/policy/rule.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import type { Assessment } from "../heartbeat/telemetry-items.ts";
import { dayOf, type Feature, featuresOf, isTimely, noveltyOf, remember } from "./baseline.ts";
import type { AssessDeps } from "./deps.ts";

export type Assessed = {
  assessment: Assessment;
  /** The baseline of the asset, with this heartbeat added. Undefined if the heartbeat adds nothing. */
  baseline: BaselineItem | undefined;
};

/**
 * Assesses a state: first with the rules, then against the baseline, then with the known verdict of the LLM
 * review.
 *
 * @param at time of the state. Every heartbeat of the state is assessed as of this time.
 * @param isFirst true if the asset has no baseline yet, so that none is read
 */
export async function assess(
  delivery: Delivery,
  at: string,
  tenant: TenantItem,
  deps: AssessDeps,
  { isFirst = false, identity }: { isFirst?: boolean; identity?: IdentityConflict | undefined } = {},
): Promise<Assessed> {
  const heartbeat = delivery.heartbeat();
  const ruled = evaluate({ heartbeat, policy: tenant.policy, at, identity });
  const today = dayOf(at);
  const features = featuresOf(heartbeat, tenant.policy);
  const names = features.map(({ name }) => name);
  const known = isFirst ? undefined : await baselineOf(delivery, tenant, deps);
  const tenantPast = await deps.baselines.tenant(delivery.tenantId, names, today);
  const novelty = noveltyOf(features, known, tenantPast, today);
  const isDisabled = tenant.policy.disabledRules.includes("baseline-novelty");
  const found = isDisabled ? ruled : sum([...ruled.findings, ...novelty.findings]);
  const assessment: Assessment = {
    ...found,
    ...(novelty.sentences.length > 0 && { novelty: novelty.sentences }),
  };
  const baseline = await addToBaselines(delivery, today, features, known, deps);
  return { assessment: await deps.lookUpVerdict(assessment, heartbeat, tenant), baseline };
}

/**
 * Adds a timely heartbeat to the baseline if its state was assessed from a heartbeat that was too late for
 * the baseline. Returns the updated baseline, or undefined if it is unchanged.
 */
export async function learnLate(
  delivery: Delivery,
  at: string,
  tenant: TenantItem,
  deps: AssessDeps,
): Promise<BaselineItem | undefined> {
  const features = featuresOf(delivery.heartbeat(), tenant.policy);
  return addToBaselines(delivery, dayOf(at), features, await baselineOf(delivery, tenant, deps), deps);
}

/**
 * Adds the day of the heartbeat to the tenant's baseline. Returns the updated baseline of the asset, or
 * undefined if it is unchanged.
 */
async function addToBaselines(
  delivery: Delivery,
  today: number,
  features: readonly Feature[],
  past: BaselineItem | undefined,
  deps: AssessDeps,
): Promise<BaselineItem | undefined> {
  if (!isTimely(delivery)) return undefined;
  const { tenantId, assetId } = delivery;
  await deps.baselines.add(
    tenantId,
    features.map(({ name }) => name),
    today,
  );
  const baseline = remember(past, { tenantId, assetId }, features, today);
  return baseline === past ? undefined : baseline;
}

/**
 * Baseline of the asset. The cached baseline is used while it belongs to the newest presence. Otherwise, the
 * table is read.
 */
async function baselineOf(
  delivery: Delivery,
  tenant: TenantItem,
  deps: AssessDeps,
): Promise<BaselineItem | undefined> {
  const known = deps.presences.peek(delivery.tenantId, delivery.assetId);
  const { revision } = known?.presence ?? {};
  if (known?.baseline && known.baseline.revision === revision) return known.baseline.item;
  const item = await deps.baselines.asset(tenant, delivery.assetId);
  if (known && revision !== undefined) known.baseline = { revision, item };
  return item;
}
