import { evaluate, sum } from "../../shared/policy/evaluate/evaluate.ts";
import type { IdentityScene } from "../../shared/policy/rule.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import type { Judgement } from "../heartbeat/telemetry-items.ts";
import { dayOf, type Feature, featuresOf, isTimely, noveltyOf, remember } from "./baseline.ts";
import type { AssessDeps } from "./deps.ts";

export type Judged = {
  judgement: Judgement;
  /** The baseline of the asset with this heartbeat added. Undefined when the heartbeat adds nothing. */
  baseline: BaselineItem | undefined;
};

/**
 * Assesses a state: rules, then the baseline, then the known verdict of the LLM review.
 *
 * @param at time of the state. Every heartbeat of the state is assessed as of this time.
 * @param isFirst the asset has no baseline yet, so none is read
 */
export async function judge(
  delivery: Delivery,
  at: string,
  tenant: TenantItem,
  deps: AssessDeps,
  { isFirst = false, identity }: { isFirst?: boolean; identity?: IdentityScene | undefined } = {},
): Promise<Judged> {
  const heartbeat = delivery.heartbeat();
  const ruled = evaluate({ heartbeat, policy: tenant.policy, at, identity });
  const today = dayOf(at);
  const features = featuresOf(heartbeat, tenant.policy);
  const names = features.map(({ name }) => name);
  const past = isFirst ? undefined : await pastOf(delivery, tenant, deps);
  const tenantPast = await deps.pasts.tenant(delivery.tenantId, names, today);
  const novelty = noveltyOf(features, past, tenantPast, today);
  const isDisabled = tenant.policy.disabledRules.includes("baseline-novelty");
  const found = isDisabled ? ruled : sum([...ruled.findings, ...novelty.findings]);
  const judgement: Judgement = {
    ...found,
    ...(novelty.words.length > 0 && { novelty: novelty.words }),
  };
  const baseline = await teach(delivery, today, features, past, deps);
  return { judgement: await deps.adjudicate(judgement, heartbeat, tenant), baseline };
}

/** The baseline with a heartbeat added whose state was assessed from a heartbeat too late for the baseline. */
export async function learn(
  delivery: Delivery,
  at: string,
  tenant: TenantItem,
  deps: AssessDeps,
): Promise<BaselineItem | undefined> {
  const features = featuresOf(delivery.heartbeat(), tenant.policy);
  return teach(delivery, dayOf(at), features, await pastOf(delivery, tenant, deps), deps);
}

/** Adds the day to the baseline of the tenant. Returns the updated baseline of the asset; undefined if unchanged. */
async function teach(
  delivery: Delivery,
  today: number,
  features: readonly Feature[],
  past: BaselineItem | undefined,
  deps: AssessDeps,
): Promise<BaselineItem | undefined> {
  if (!isTimely(delivery)) return undefined;
  const { tenantId, assetId } = delivery;
  await deps.pasts.add(
    tenantId,
    features.map(({ name }) => name),
    today,
  );
  const baseline = remember(past, { tenantId, assetId }, features, today);
  return baseline === past ? undefined : baseline;
}

/** Baseline of the asset: from the cache while it belongs to the newest presence, otherwise from the table. */
async function pastOf(
  delivery: Delivery,
  tenant: TenantItem,
  deps: AssessDeps,
): Promise<BaselineItem | undefined> {
  const known = deps.presences.peek(delivery.tenantId, delivery.assetId);
  const { revision } = known?.presence ?? {};
  if (known?.baseline && known.baseline.revision === revision) return known.baseline.item;
  const item = await deps.pasts.asset(tenant, delivery.assetId);
  if (known && revision !== undefined) known.baseline = { revision, item };
  return item;
}
