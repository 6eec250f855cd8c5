import { custodyHash } from "../../../shared/containment/custody-chain.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { Badge } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty } from "../components/layout.tsx";
import { Ago, Moment } from "../components/time.tsx";
import { differenceWords, eventsWords } from "./field-diff.ts";

/** `ok` undefined: it was not checked. `at`: when, on a page that is not read anew by itself. */
export type ChainCheck = { ok: boolean | undefined; words: string; at?: string };

/**
 * Computes the hashes of these records again and follows their chain, newest first as listed. It speaks for the
 * records shown only: what was cut off before the first, or after the newest, `lz audit verify` finds.
 */
export async function checkChain(records: readonly CustodyView[]): Promise<ChainCheck | undefined> {
  if (records.length === 0) return undefined;
  for (const [index, record] of records.entries()) {
    const { hash, ...rest } = record;
    if ((await custodyHash({ type: "Audit", ...rest })) !== hash) {
      return { ok: false, words: `Record ${record.number} was edited: its hash does not match its content` };
    }
    const older = records[index + 1];
    if (older && (record.previousHash !== older.hash || record.number !== older.number + 1)) {
      return { ok: false, words: `Record ${record.number} does not follow record ${older.number}` };
    }
    if (!older && record.number === 1 && record.previousHash !== "") {
      return { ok: false, words: "The first record names one before it" };
    }
  }
  const [newest, oldest] = [records[0]!.number, records.at(-1)!.number];
  const range = newest === oldest ? `Record ${newest}` : `Records ${oldest} to ${newest}`;
  return { ok: true, words: `${range}: hashes computed again for this reading, chain unbroken` };
}

const checkLook = ({ ok }: ChainCheck) => (ok === undefined ? "warning" : ok ? "ok" : "critical");

const short = (hash: string): string => (hash === "" ? "none" : hash.slice(0, 8));

export const CustodyLog = ({
  records,
  check,
  now,
  link,
}: {
  records: readonly CustodyView[];
  check: ChainCheck | undefined;
  now: number;
  /** Names of hosts by asset id, where records of several assets stand together. */
  link?: ReadonlyMap<string, string>;
}) =>
  records.length === 0 && !check ? (
    <Empty title="No custody record">Nobody has isolated or released this host.</Empty>
  ) : (
    <>
      {check && (
        <p class={`strip ${checkLook(check)}`}>
          <Icon name={checkLook(check)} />
          <span>
            {check.words}.
            {check.at !== undefined && (
              <>
                {" "}
                Checked <Moment at={check.at} /> (<Ago at={check.at} now={now} />
                ).
              </>
            )}
          </span>
        </p>
      )}
      <ol class="custody">
        {records.map((record) => (
          <CustodyEntry
            record={record}
            now={now}
            host={link?.get(record.assetId ?? "")}
            linked={link !== undefined}
          />
        ))}
      </ol>
    </>
  );

const ACTIONS: Readonly<Record<string, string>> = {
  acknowledge: "Acknowledged",
  expire: "Taken off the active list",
  merge: "Merged",
  isolate: "Isolate requested",
  release: "Release requested",
  resolve: "Resolved",
};

/** `revoke-api-key` → `Revoke api key`. */
export const actionWords = (action: string): string => {
  const words = action.replaceAll("-", " ");
  return ACTIONS[action] ?? words.charAt(0).toUpperCase() + words.slice(1);
};

/** What the id that a record names is of. An incident's says it by itself, and so does what is in plain words. */
const targetWords = ({ action, target }: CustodyView): string | undefined => {
  if (target === undefined || target === "break-glass") return target && "past the guards: break-glass";
  if (action === "merge") return `asset ${target}`;
  if (/isolat/.test(action)) return `request ${target}`;
  if (/webhook|deliver/.test(action)) return `webhook ${target}`;
  if (/token|rotate-key/.test(action)) return `token ${target}`;
  if (/api-key/.test(action)) return `key ${target}`;
  return /release/.test(action) ? `code ${target}` : target;
};

/** What the record says of the change itself; which parts there are depends on the action. */
const changeWords = (record: CustodyView): string => {
  const { action, mode, stopEnginesBy, generation, before, after } = record;
  return [
    targetWords(record),
    mode && `mode ${mode}${stopEnginesBy ? ` (${stopEnginesBy})` : ""}`,
    generation && `generation ${generation}`,
    (action === "resend-deliveries" && eventsWords(after)) ||
      ((before || after) && differenceWords(before, after)),
  ]
    .filter(Boolean)
    .join(" · ");
};

const CustodyEntry = (entry: {
  record: CustodyView;
  now: number;
  host: string | undefined;
  linked: boolean;
}) => {
  const { record, now } = entry;
  return (
    <li data-key={`${record.assetId ?? "organisation"}-${record.number}`}>
      <p class="custody-head">
        <span class="muted">#{String(entry.linked ? record.tenantNumber : record.number)}</span>
        <Badge
          tone={record.action === "isolate" ? "warning" : "info"}
          icon={record.action === "isolate" ? "isolated" : "ok"}
        >
          {actionWords(record.action)}
        </Badge>
        {entry.linked && record.assetId !== undefined && (
          <a href={`/assets/${record.assetId}`}>
            <bdi>{entry.host ?? record.assetId}</bdi>
          </a>
        )}
        <span class="muted small">
          <bdi>{changeWords(record)}</bdi>
        </span>
      </p>
      {record.justification !== undefined && (
        <blockquote>
          <bdi>{record.justification}</bdi>
        </blockquote>
      )}
      <dl class="facts tight">
        <div>
          <dt>Operator</dt>
          <dd>
            <bdi>{record.operatorId}</bdi> from <bdi class="mono">{record.sourceIp}</bdi>
          </dd>
        </div>
        <div>
          <dt>When</dt>
          <dd>
            <Moment at={record.at} />{" "}
            <span class="muted">
              (<Ago at={record.at} now={now} />)
            </span>
          </dd>
        </div>
        <div>
          <dt>Session, request</dt>
          <dd>
            <bdi class="mono">{record.sessionId}</bdi>, <bdi class="mono">{record.requestId}</bdi>
          </dd>
        </div>
        <div>
          <dt>Hash</dt>
          <dd class="mono">
            <code title={record.hash}>{short(record.hash)}</code> ←{" "}
            {record.assetId === undefined ? "own" : "asset"}{" "}
            <code title={record.previousHash}>{short(record.previousHash)}</code>, organisation{" "}
            <code title={record.tenantPreviousHash}>{short(record.tenantPreviousHash)}</code>
          </dd>
        </div>
      </dl>
    </li>
  );
};
