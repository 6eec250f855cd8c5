import { z } from "zod";
import { DAY_MS } from "../../../shared/time/durations.ts";
import type { Period } from "./detections-in-period.ts";

const DAYS_DEFAULT = 30;

const day = z.iso.date();
const blank = z.literal("").transform(() => undefined);
export const reportQuery = z.object({ from: blank.or(day).optional(), to: blank.or(day).optional() });
export type ReportQuery = z.infer<typeof reportQuery>;

/** Returns the requested period. Default: the last 30 days. Returns undefined if the last day is before the first. */
export function periodOf({ from, to }: ReportQuery, nowMs: number): Period | undefined {
  const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const last = to ?? dayOf(nowMs);
  const first =
    from ?? dayOf(Math.max(Date.parse("0000-01-01"), Date.parse(last) - (DAYS_DEFAULT - 1) * DAY_MS));
  return first <= last ? { from: first, to: last } : undefined;
}

/** True if the period starts before the retention time, so that some of its states may already be deleted. */
export const isOlderThanRetention = ({ from }: Period, retentionDays: number, madeAt: string): boolean =>
  Date.parse(madeAt) - Date.parse(from) > retentionDays * DAY_MS;
