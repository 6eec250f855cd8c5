import type { Arguments } from "../platform/arguments.ts";
import { Misuse } from "../platform/faults.ts";

const SILENT = /^(\d{1,5})([dh])$/;
/** Maximum of `--silent-for` in hours: ten years, as in the API. */
const SILENT_HOURS_MAX = 3650 * 24;

/** Converts `30d` or `12h` to hours. Throws {@link Misuse} for any other text. */
export function silentHours({ name, texts }: Pick<Arguments, "name" | "texts">): number | undefined {
  const text = texts["silent-for"];
  if (text === undefined) return undefined;
  const [, number, unit] = SILENT.exec(text) ?? [];
  const hours = Number(number) * (unit === "d" ? 24 : 1);
  if (!(hours >= 1 && hours <= SILENT_HOURS_MAX))
    throw new Misuse(`${name}: --silent-for must be a time such as 30d or 12h, at most 3650d`);
  return hours;
}

/** True if any filter option is present. */
export const hasFilter = ({ texts, flags }: Pick<Arguments, "texts" | "flags">): boolean =>
  flags.has("never-reported") ||
  ["hostname", "os", "employee", "silent-for", "status", "lifecycle"].some(
    (name) => texts[name] !== undefined,
  );

/** Converts the filter options to the query of `GET /v1/assets`, with its `?`. Empty if there are no filters. */
export function filterQuery(args: Pick<Arguments, "name" | "texts" | "flags">): string {
  const { hostname, os, employee, status, lifecycle } = args.texts;
  const hours = silentHours(args);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ hostname, os, employee, lifecycle }))
    if (value !== undefined) query.set(name, value);
  if (status !== undefined) query.set("status", status.toUpperCase());
  if (hours !== undefined) query.set("silentHours", String(hours));
  if (args.flags.has("never-reported")) query.set("neverReported", "true");
  return query.size === 0 ? "" : `?${query}`;
}
