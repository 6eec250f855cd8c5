import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type EmployeeItem, employeeItem } from "../../../shared/table/items/employee.ts";
import { EMPLOYEE_PREFIX, employeeKey, tenantKey } from "../../../shared/table/keys.ts";
import { getItem, type Page, queryPage, type Reader } from "../table-query.ts";

/** Lists the tenant's employees, ordered by id. */
export async function listEmployees(
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
): Promise<Page<EmployeeView>> {
  const { PK } = tenantKey(tenantId);
  const found = await queryPage(reader, { partition: PK, prefix: EMPLOYEE_PREFIX, ...page });
  const items = found.items.map((stored) => employeeView(decodeItem(employeeItem, stored)));
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}

/** Reads one employee. Returns undefined if the tenant has no employee with this id. */
export async function readEmployee(
  reader: Reader,
  tenantId: string,
  employeeId: string,
): Promise<EmployeeView | undefined> {
  const stored = await getItem(reader, employeeKey(tenantId, employeeId));
  return stored && employeeView(decodeItem(employeeItem, stored));
}

/** An employee as the API and the dashboard show it. */
export type EmployeeView = Omit<EmployeeItem, "type" | "tenantId">;
const employeeView = ({ type: _type, tenantId: _tenant, ...employee }: EmployeeItem): EmployeeView =>
  employee;
