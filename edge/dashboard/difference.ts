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
