import type { CustodyFault } from "../../../shared/containment/custody-chain.ts";

type Members = Readonly<Record<string, unknown>>;

/** Parses the members of a JSON object. Returns undefined for any other text, for example `open`. */
function membersOf(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Members)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Describes a change member by member, for example `fourEyes false → true`. If one value is not a JSON
 * object, quotes both values unchanged. The download contains the exact record.
 */
export function differenceWords(before: string | undefined, after: string | undefined): string {
  const [was, is] = [membersOf(before ?? "{}"), membersOf(after ?? "{}")];
  if (!was || !is) return `${before ?? "not set"} → ${after ?? "not set"}`;
  const textOf = (members: Members, name: string): string =>
    Object.hasOwn(members, name) ? JSON.stringify(members[name]) : "not set";
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  return names.map((name) => `${name} ${textOf(was, name)} → ${textOf(is, name)}`).join(", ");
}

/**
 * Summarises the events in a resend record, which can contain up to 50. Returns undefined if the record
 * contains no events.
 */
export function eventsWords(after: string | undefined): string | undefined {
  const events = membersOf(after ?? "{}")?.events;
  if (!Array.isArray(events) || events.length === 0) return undefined;
  return events.length <= 3
    ? `events ${events.join(", ")}`
    : `${events.length} events, from ${events[0]} to ${events.at(-1)}`;
}

/**
 * Describes a fault of the custody log. The text names the faulty record. If the head is faulty, its fault
 * text already names the head.
 */
export const faultWords = ({ record, fault }: CustodyFault): string =>
  record === "head" ? fault : `the record ${record} ${fault}`;
