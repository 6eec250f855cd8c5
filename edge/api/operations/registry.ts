import type { Operation } from "../define-operation.ts";
import { approvalOperations } from "./approvals.ts";
import { assetChangeOperations } from "./asset-changes.ts";
import { containmentOperations } from "./asset-containment.ts";
import { assetOperations } from "./assets.ts";
import { credentialOperations } from "./credentials.ts";
import { eventOperations } from "./events.ts";
import { incidentOperations } from "./incidents.ts";
import { tenantOperations } from "./tenant.ts";
import { webhookOperations } from "./webhooks.ts";

/** All operations of the admin API. Routes, permissions and the OpenAPI document are built from this list. */
export const OPERATIONS: readonly Operation[] = [
  ...tenantOperations,
  ...assetOperations,
  ...containmentOperations,
  ...assetChangeOperations,
  ...approvalOperations,
  ...incidentOperations,
  ...credentialOperations,
  ...webhookOperations,
  ...eventOperations,
];
