/** The lines of each block of a ruleset, as printed by nft. Keys are block paths such as `table inet x chain y`. */
export type Listing = ReadonlyMap<string, readonly string[]>;

const ADDED = /^add (table|chain|counter|set|map|flowtable|rule|element) (\S+ \S+)(?: (\S+))?\s*(.*)$/;
/**
 * Handles in echoed rules. Some versions of nft first print the handle of the position, others print the
 * rule's own handle last.
 */
const HANDLE = /(?:^| )(?:# )?handle \d+(?= |$)/g;

/**
 * Parses the output of `nft --echo`, which lists the commands of one transaction that the kernel accepted.
 * Leaves out commands of other programs. The result has the notation of {@link parseListing}, so that both
 * results can be compared.
 */
export function parseEcho(text: string): Listing {
  const blocks = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [, kind, table, name, rest] = ADDED.exec(line.trim()) ?? [];
    if (kind === undefined) continue;
    const path = `table ${table}`;
    const block = kind === "table" ? path : `${path} ${kind === "rule" ? "chain" : kind} ${name}`;
    const lines = blocks.get(block) ?? [];
    blocks.set(block, lines);
    const body = kind === "rule" ? rest!.replace(HANDLE, "") : rest!.replace(/^\{(.*)\}$/, "$1");
    const written = tidied(body);
    if (kind !== "table" && written !== "") lines.push(written);
  }
  return blocks;
}

/**
 * Parses the output of one or more `nft --stateless list table …` commands. Keeps the order of lines, which
 * matters for rules.
 */
export function parseListing(text: string): Listing {
  const blocks = new Map<string, string[]>();
  const path: string[] = [];
  for (const line of text.split("\n").map(tidied)) {
    if (line === "") continue;
    if (line === "}") path.pop();
    else if (line.endsWith("{")) {
      path.push(line.slice(0, -1).trim());
      blocks.set(path.join(" "), []);
    } else blocks.get(path.join(" "))?.push(line);
  }
  return blocks;
}

const tidied = (text: string): string => text.replace(/\s+/g, " ").trim();

/** Says how the rules in force differ from the rules sent. Undefined if they are equal. */
export function differenceOf(sent: Listing, inForce: Listing): string | undefined {
  const missingBlocks = [...sent.keys()].filter((path) => !inForce.has(path));
  const tables = missingBlocks.filter((path) => path.split(" ").length === 3);
  if (tables.length > 0) return `${tables.join(" and ")} ${tables.length === 1 ? "was" : "were"} removed`;
  const blocks = missingBlocks.length + [...inForce.keys()].filter((path) => !sent.has(path)).length;
  let removed = 0;
  let added = 0;
  let moved = 0;
  for (const path of new Set([...sent.keys(), ...inForce.keys()])) {
    const [before, now] = [sent.get(path) ?? [], inForce.get(path) ?? []];
    const lost = without(before, now).length;
    const gained = without(now, before).length;
    removed += lost;
    added += gained;
    if (lost + gained === 0 && before.join("\n") !== now.join("\n")) moved++;
  }
  const counted = [
    ["chains or sets added or removed", blocks],
    ["rules removed", removed],
    ["rules added", added],
    ["chains reordered", moved],
  ] as const;
  const said = counted.filter(([, count]) => count > 0).map(([what, count]) => `${what}: ${count}`);
  return said.length > 0 ? said.join(", ") : undefined;
}

/** The elements of `all` without the elements of `others`. Each duplicate counts separately. */
function without(all: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return all.filter((each) => {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
