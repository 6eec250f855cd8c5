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
 * The caller of a change, its address and its request. Requests with the same idempotency key count as one
 * change.
 */
export type Asker = { admin: Admin; sourceIp: string; requestId: string; idempotencyKey: string };

type Attributes = Parameters<typeof values>[0];

/**
 * A change to an item with authority, other than an asset. Members that the change does not name keep their
 * values.
 */
export type ItemChange = {
  key: Key;
  set: Attributes;
  /** Members that are only set if the item does not have them yet. */
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

/** A change to an asset. If `set` is absent, the change only adds custody records about the asset. */
export type AssetChange = {
  before: AssetItem;
  records: readonly Draft[];
  set?: Attributes;
  /** Events that this change causes, for webhooks and the SIEM export. */
  news?: readonly News[];
  /**
   * Members that must still have these values when the change is written. The custody count of the asset is
   * always checked as well.
   */
  equal?: Attributes;
  /** Members that must not exist when the change is written. */
  absent?: readonly string[];
  /** True if the asset no longer has a pending action and must be removed from the index of pending actions. */
  isClosed?: boolean;
  /** Pending action that results from the change. This node delivers the action to the agent. */
  opens?: PendingAction;
};

/**
 * All writes of one change, and its result. The result is stored for repeated requests, so it must not
 * contain a secret.
 */
export type Plan<Result> = {
  assets?: readonly AssetChange[];
  /** Custody records about the tenant as a whole, not about one asset. */
  records?: readonly Draft[];
  news?: readonly News[];
  writes?: readonly Write[];
  /** Changes to items with authority other than assets. */
  changes?: readonly ItemChange[];
  /** True if `writes` put an existing event back into the outbox, which means that a worker must be woken. */
  isWaited?: boolean;
  result: Result;
  /** Secret for the first response only. The secret is not stored. */
  secret?: string;
};

/**
 * Result of a change. `replayed` is true if an earlier request with the same idempotency key made the change.
 * Only that earlier request received the secret.
 */
export type Committed<Result> = { result: Result; replayed: boolean; secret?: string };

/** A refusal of a change. The members in `more` are added to the problem document. */
export type Refused = Refusal & { more?: Record<string, unknown> };
export type Decision<T> = { ok: true; value: T } | Refused;
