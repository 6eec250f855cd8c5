import type { values } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import type { AuditItem } from "../../../shared/table/items/custody.ts";
import type { Key } from "../../../shared/table/keys.ts";
import type { Refusal } from "../../../shared/verdict.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { PendingAction } from "../../heartbeat/read-pending-actions.ts";
import type { News } from "./outbox.ts";
import type { Write } from "./transaction-write.ts";

/**
 * Origin of a change: the caller, its address and its request. Requests with the same idempotency key are one change.
 */
export type Asker = { admin: Admin; sourceIp: string; requestId: string; idempotencyKey: string };

type Attributes = Parameters<typeof values>[0];

/** A change to an item with authority, other than an asset. Members that are not named stay as they are. */
export type ItemChange = {
  key: Key;
  set: Attributes;
  /** Set only if the item has no member of that name. */
  initial?: Attributes;
  condition: string;
  names?: Record<string, string>;
  values?: Attributes;
};

/** Content of a custody record, without the members that the chain adds. */
export type Draft = Pick<AuditItem, "action"> &
  Partial<
    Pick<
      AuditItem,
      "mode" | "stopEnginesBy" | "generation" | "target" | "before" | "after" | "report" | "justification"
    >
  >;

/** A change to an asset. Without `set` it only adds custody records about it. */
export type AssetChange = {
  before: AssetItem;
  records: readonly Draft[];
  set?: Attributes;
  /** Events for webhooks and the SIEM export. */
  news?: readonly News[];
  /** Members that must still have these values. The custody count of the asset is always checked as well. */
  equal?: Attributes;
  /** Members that must not exist. */
  absent?: readonly string[];
  /** The asset has no pending action any more and is removed from their index. */
  isClosed?: boolean;
  /** Pending action that this node delivers to the agent from now on. */
  opens?: PendingAction;
};

/** Everything that one change writes, and its result. The result is stored for repeats, so it contains no secret. */
export type Plan<Result> = {
  assets?: readonly AssetChange[];
  /** Records about the tenant, not about an asset. */
  records?: readonly Draft[];
  news?: readonly News[];
  writes?: readonly Write[];
  /** Changes to items with authority other than assets. */
  changes?: readonly ItemChange[];
  /** True if `writes` put an existing event back into the outbox, so that a worker must be woken. */
  isWaited?: boolean;
  result: Result;
  /** Returned to the caller of the first request only, and stored nowhere. */
  secret?: string;
};

/** Result of a change. `replayed` is true if an earlier request with the same key made it. It received the secret. */
export type Committed<Result> = { result: Result; replayed: boolean; secret?: string };

/** A refusal of a change. `more` is added to the problem document. */
export type Refused = Refusal & { more?: Record<string, unknown> };
export type Decision<T> = { ok: true; value: T } | Refused;
