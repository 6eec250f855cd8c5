import { z } from "zod";
import { assetId } from "../../../shared/ids.ts";
import { CUSTODY_ACTIONS } from "../../../shared/table/items/custody.ts";
import { integerText } from "../../../shared/wire/integer.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { actionWords } from "./custody-table.tsx";

const blank = z.literal("").transform(() => undefined);

export const custodyQuery = z.object({
  q: blank.or(z.string().max(200)).optional(),
  action: blank.or(z.enum(CUSTODY_ACTIONS)).optional(),
  asset: blank.or(assetId).optional(),
  /** Shows only records with a lower number. The link to the next page sets this parameter. */
  before: integerText(1).optional(),
});
export type CustodyQuery = z.infer<typeof custodyQuery>;

export const isNarrowed = ({ q, action, asset }: CustodyQuery): boolean =>
  q !== undefined || action !== undefined || asset !== undefined;

/**
 * Returns a function that checks whether a record matches the search. Each word of the text must occur in the
 * visible fields of the record.
 */
export function custodyMatcher(
  { q, action, asset, before }: CustodyQuery,
  hosts: ReadonlyMap<string, string>,
): (record: Omit<CustodyView, "type">) => boolean {
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (record) => {
    if (before !== undefined && record.tenantNumber >= before) return false;
    if (action !== undefined && record.action !== action) return false;
    if (asset !== undefined && record.assetId !== asset) return false;
    if (words.length === 0) return true;
    const text = textOf(record, hosts);
    return words.every((word) => text.includes(word));
  };
}

function textOf(record: CustodyView, hosts: ReadonlyMap<string, string>): string {
  const { assetId, action, mode, target, before, after, justification } = record;
  const { operatorId, sourceIp, sessionId, requestId, hash, at } = record;
  const host = assetId === undefined ? undefined : hosts.get(assetId);
  return [
    ...[host, assetId, actionWords(action), action, mode, target, before, after, justification],
    ...[operatorId, sourceIp, sessionId, requestId, hash, at],
  ]
    .join("\n")
    .toLowerCase();
}
