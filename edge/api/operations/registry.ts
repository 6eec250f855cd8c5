import type { Operation } from "../define-operation.ts";
import { approvalOperations } from "./approvals.ts";
import { assetOperations } from "./assets.ts";
import { credentialOperations } from "./credentials.ts";
import { eventOperations } from "./events.ts";
import { incidentOperations } from "./incidents.ts";
import { tenantOperations } from "./tenant.ts";
import { webhookOperations } from "./webhooks.ts";

/** The admin API, whole: routes, rights and specification are made from this list and from nothing else. */
export const OPERATIONS: readonly Operation[] = [
  ...tenantOperations,
  ...assetOperations,
  ...approvalOperations,
  ...incidentOperations,
  ...credentialOperations,
  ...webhookOperations,
  ...eventOperations,
];
