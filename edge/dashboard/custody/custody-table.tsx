import { custodyHash } from "../../../shared/containment/custody-chain.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { Badge } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty } from "../components/layout.tsx";
import { Ago, Moment } from "../components/time.tsx";
import { differenceWords, eventsWords } from "./field-diff.ts";

/**
 * Result of a verification. `ok`: undefined if the log was not verified. `at`: time of the verification. It
 * is set only on pages without live updates.
 */
export type ChainCheck = { ok: boolean | undefined; words: string; at?: string };

/**
 * Verifies the hashes of these records and the links between them. The records must be sorted newest first.
 * This check does not detect missing records before the first or after the last of these records. `lz audit
 * verify` detects them.
 */
export async function checkChain(records: readonly CustodyView[]): Promise<ChainCheck | undefined> {
  if (records.length === 0) return undefined;
  for (const [index, record] of records.entries()) {
    const { hash, ...rest } = record;
    if ((await custodyHash({ type: "Audit", ...rest })) !== hash) {
      return {
        ok: false,
        words: `Record ${record.number} was edited: its hash does not match its content`,
      };
    }
    const older = records[index + 1];
    if (older && (record.previousHash !== older.hash || record.number !== older.number + 1)) {
      return { ok: false, words: `Record ${record.number} does not follow record ${older.number}` };
    }
    if (!older && record.number === 1 && record.previousHash !== "") {
      return { ok: false, words: "The first record refers to an earlier record, so records are missing" };
    }
  }
  const [newest, oldest] = [records[0]!.number, records.at(-1)!.number];
  const range = newest === oldest ? `Record ${newest}` : `Records ${oldest} to ${newest}`;
  return { ok: true, words: `${range}: hashes verified, chain unbroken` };
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
  /** Host names by asset id, for lists that contain records of several hosts. */
  link?: ReadonlyMap<string, string>;
}) =>
  records.length === 0 && !check ? (
    <Empty title="No custody records">This host has never been isolated or released.</Empty>
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
                Verified <Moment at={check.at} /> (<Ago at={check.at} now={now} />
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
  expire: "Removed from the active list",
  merge: "Merged",
  isolate: "Isolation requested",
  release: "Release requested",
  resolve: "Resolved",
};

/** Label of an action that has no text of its own, for example `Revoke api key` for `revoke-api-key`. */
export const actionWords = (action: string): string => {
  const words = action.replaceAll("-", " ");
  return ACTIONS[action] ?? words.charAt(0).toUpperCase() + words.slice(1);
};

/**
 * Describes the target of a record. A word before the id says what the id identifies. Incident ids and plain
 * texts have no such word.
 */
const targetWords = ({ action, target }: CustodyView): string | undefined => {
  if (target === undefined || target === "break-glass") return target && "emergency override (break-glass)";
  if (action === "merge") return `host ${target}`;
  if (/isolat/.test(action)) return `request ${target}`;
  if (/webhook|deliver/.test(action)) return `webhook ${target}`;
  if (/token|rotate-key/.test(action)) return `token ${target}`;
  if (/api-key/.test(action)) return `key ${target}`;
  return /release/.test(action) ? `code ${target}` : target;
};

/** Describes the details of the change. The details depend on the action of the record. */
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
            <code title={record.hash}>{short(record.hash)}</code>, previous record{" "}
            {record.assetId === undefined ? "without a host" : "of the host"}{" "}
            <code title={record.previousHash}>{short(record.previousHash)}</code>, of the organisation{" "}
            <code title={record.tenantPreviousHash}>{short(record.tenantPreviousHash)}</code>
          </dd>
        </div>
      </dl>
    </li>
  );
};
