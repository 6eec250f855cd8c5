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
  /** The asset's past with this heartbeat in it; undefined when it adds nothing. */
  baseline: BaselineItem | undefined;
};

/**
 * Rules, then the baseline, then, where those leave a doubt, the language model. `at` is the time of the state:
 * every heartbeat that has it is judged as of then. `isFirst`: the asset is known to have no past, and none is read.
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

/** What a heartbeat adds to the past of its asset, when its state was judged by one that taught nothing. */
export async function learn(
  delivery: Delivery,
  at: string,
  tenant: TenantItem,
  deps: AssessDeps,
): Promise<BaselineItem | undefined> {
  const features = featuresOf(delivery.heartbeat(), tenant.policy);
  return teach(delivery, dayOf(at), features, await pastOf(delivery, tenant, deps), deps);
}

/** Adds the day to the tenant's past, and gives the asset's own as it is then; undefined when nothing is added. */
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

/** The asset's past, as this worker knows it while it knows the newest presence, or as the table has it. */
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
