import { PRODUCT_VERSION } from "../../../shared/product-version.ts";
import { newPolicy } from "../../../shared/table/items/policy.ts";
import { refuse } from "../../../shared/verdict.ts";
import { listEmployeeAssets } from "../../control/assets/read-assets.ts";
import { custodyJson } from "../../control/custody/export-custody-log.ts";
import { listEmployees, readEmployee } from "../../control/employees/read-employees.ts";
import { settings } from "../../control/tenant/settings-schema.ts";
import {
  changePolicy,
  changeSettings,
  readPolicy,
  readSettings,
} from "../../control/tenant/update-tenant.ts";
import { operation } from "../define-operation.ts";
import { employeeParams, page, pageFrom } from "../request-schemas.ts";
import {
  assetView,
  callerView,
  custodyExport,
  employeeView,
  pageOf,
  policyView,
  settingsView,
} from "../response-schemas.ts";

/** Builds a response with a strong entity tag (RFC 9110 §8.8.3). The tag is the version of the resource. */
const tagged = <T>({ version, value }: { version: number; value: T }) =>
  ({ ok: true, value: { body: value, headers: { etag: `"${version}"` } } }) as const;

const whoAmI = operation({
  id: "getCaller",
  method: "get",
  path: "/me",
  tag: "Caller",
  summary: "Read your own identity and permissions",
  needs: "read",
  success: 200,
  answer: callerView,
  run: async ({ admin }) => ({ ok: true, value: { body: { ...admin, version: PRODUCT_VERSION } } }),
});

const getSettings = operation({
  id: "getSettings",
  method: "get",
  path: "/settings",
  tag: "Settings",
  summary: "Read the settings of the tenant",
  needs: "read",
  success: 200,
  answer: settingsView,
  versioned: true,
  run: async ({ admin }, deps) => tagged(await readSettings(deps, admin.tenantId)),
});

const putSettings = operation({
  id: "putSettings",
  method: "put",
  path: "/settings",
  tag: "Settings",
  summary: "Replace the settings of the tenant",
  description: "Missing members are set to their defaults.",
  needs: "manage-settings",
  body: settings,
  success: 200,
  answer: settingsView,
  versioned: true,
  async run({ admin, asker, body, version }, deps) {
    const changed = await changeSettings(asker, { version, value: body }, deps);
    return changed.ok ? tagged(await readSettings(deps, admin.tenantId)) : changed;
  },
});

const getPolicy = operation({
  id: "getPolicy",
  method: "get",
  path: "/policy",
  tag: "Settings",
  summary: "Read the policy",
  needs: "read",
  success: 200,
  answer: policyView,
  versioned: true,
  run: async ({ admin }, deps) => tagged(await readPolicy(deps, admin.tenantId)),
});

const putPolicy = operation({
  id: "putPolicy",
  method: "put",
  path: "/policy",
  tag: "Settings",
  summary: "Replace the policy",
  description: "Missing members are set to their defaults. The policy applies to every later heartbeat.",
  needs: "manage-settings",
  body: newPolicy,
  success: 200,
  answer: policyView,
  versioned: true,
  async run({ admin, asker, body, version }, deps) {
    const changed = await changePolicy(asker, { version, value: body }, deps);
    return changed.ok ? tagged(await readPolicy(deps, admin.tenantId)) : changed;
  },
});

const allEmployees = operation({
  id: "listEmployees",
  method: "get",
  path: "/employees",
  tag: "Employees",
  summary: "List employees who have assets",
  needs: "read",
  query: page,
  success: 200,
  answer: pageOf(employeeView),
  run: async ({ admin, query }, deps) => ({
    ok: true,
    value: { body: await listEmployees(deps, admin.tenantId, pageFrom(query)) },
  }),
});

const getEmployee = operation({
  id: "getEmployee",
  method: "get",
  path: "/employees/{employeeId}",
  tag: "Employees",
  summary: "Read an employee",
  needs: "read",
  params: employeeParams,
  success: 200,
  answer: employeeView,
  async run({ admin, params }, deps) {
    const body = await readEmployee(deps, admin.tenantId, params.employeeId);
    return body ? { ok: true, value: { body } } : refuse("admin.not-found");
  },
});

const employeeAssets = operation({
  id: "listEmployeeAssets",
  method: "get",
  path: "/employees/{employeeId}/assets",
  tag: "Employees",
  summary: "List the assets of an employee",
  needs: "read",
  params: employeeParams,
  query: page,
  success: 200,
  answer: pageOf(assetView),
  async run({ admin: { tenantId }, params: { employeeId }, query }, deps) {
    if (!(await readEmployee(deps, tenantId, employeeId))) return refuse("admin.not-found");
    return {
      ok: true,
      value: { body: await listEmployeeAssets(deps, tenantId, employeeId, pageFrom(query)) },
    };
  },
});

const getCustody = operation({
  id: "exportCustody",
  method: "get",
  path: "/custody",
  tag: "Custody",
  summary: "Export the whole custody log with its signed head",
  description:
    "Contains all data for an offline verification with `lz audit verify`. The response is streamed, and contains the log as of the start of the request. An incomplete response is not a valid log.",
  needs: "read",
  success: 200,
  answer: custodyExport,
  run: async ({ admin }, deps) => ({ ok: true, value: { parts: custodyJson(deps, admin.tenantId) } }),
});

export const tenantOperations = [
  whoAmI,
  getSettings,
  putSettings,
  getPolicy,
  putPolicy,
  allEmployees,
  getEmployee,
  employeeAssets,
  getCustody,
];
