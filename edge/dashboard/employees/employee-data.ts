import { z } from "zod";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import { textMatcher } from "../components/list-paging.tsx";

/** An employee with hosts on the active list, and the engines and models on these hosts. */
export type Employee = {
  id: string;
  hosts: number;
  withAi: number;
  engines: Set<string>;
  models: Set<string>;
};

/** Groups the given hosts by employee. Employees with AI come first. */
export function employeesOf(rows: readonly FleetRow[]): Employee[] {
  const found = new Map<string, Employee>();
  for (const { employeeId: id, presence } of rows) {
    const employee = found.get(id) ?? { id, hosts: 0, withAi: 0, engines: new Set(), models: new Set() };
    employee.hosts++;
    if ((presence?.engines.length ?? 0) > 0) employee.withAi++;
    for (const engine of presence?.engines ?? []) employee.engines.add(engine.name);
    for (const model of presence?.models ?? []) employee.models.add(model);
    found.set(id, employee);
  }
  return [...found.values()].sort(
    (a, b) => b.withAi - a.withAi || b.engines.size - a.engines.size || (a.id < b.id ? -1 : 1),
  );
}

const blank = z.literal("").transform(() => undefined);
export const employeesQuery = z.object({
  q: blank.or(z.string().max(200)).optional(),
  /** Id of the last employee on the previous page. */
  after: z.string().max(128).optional(),
});
export type EmployeesQuery = z.infer<typeof employeesQuery>;

/** Returns the employees whose id, engines or models match the text. */
export function employeesMatching(employees: readonly Employee[], q: string | undefined): Employee[] {
  const matches = textMatcher(q);
  return employees.filter(({ id, engines, models }) => matches([id, ...engines, ...models]));
}
