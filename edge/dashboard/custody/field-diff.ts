type Members = Readonly<Record<string, unknown>>;

/** The members of a JSON object; undefined of anything else, a word such as `open` for one. */
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
 * What a record says was before and is after, member by member: `fourEyes false → true`. A side that is no object is
 * quoted as it stands; the record itself, word for word, is in the download.
 */
export function differenceWords(before: string | undefined, after: string | undefined): string {
  const [was, is] = [membersOf(before ?? "{}"), membersOf(after ?? "{}")];
  if (!was || !is) return `${before ?? "nothing"} → ${after ?? "nothing"}`;
  const said = (members: Members, name: string): string =>
    Object.hasOwn(members, name) ? JSON.stringify(members[name]) : "nothing";
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  return names.map((name) => `${name} ${said(was, name)} → ${said(is, name)}`).join(", ");
}

/** Which events were sent again, in short: up to fifty ids stand in the record. Undefined when it tells of none. */
export function eventsWords(after: string | undefined): string | undefined {
  const events = membersOf(after ?? "{}")?.events;
  if (!Array.isArray(events) || events.length === 0) return undefined;
  return events.length <= 3
    ? `events ${events.join(", ")}`
    : `${events.length} events, from ${events[0]} to ${events.at(-1)}`;
}
