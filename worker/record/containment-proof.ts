import { eventKindOf } from "../../shared/authority/check-events.ts";
import type { CheckedAsset } from "../../shared/authority/check-reports.ts";
import {
  endsAction,
  isAhead,
  isProof,
  isSetBackBy,
  isUnrecordedRelease,
  unrecordedRelease,
} from "../../shared/containment/containment-state.ts";
import { eventPut } from "../../shared/events/event-put.ts";
import { makeEvent } from "../../shared/events/make-event.ts";
import { isConditionFailed, marshalItem, values } from "../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { actionRequired, assetKey, indexSort } from "../../shared/table/keys.ts";
import { isWriteConflict } from "../../shared/table/write-conflict.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { ContainmentReport } from "../../shared/wire/heartbeat.ts";
import { isSignedReport } from "../../shared/wire/report-signature.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import type { RecordDeps } from "./deps.ts";
import { eventIdOf } from "./event-id.ts";

/**
 * Records the containment report of a heartbeat. A report on the newest directive becomes the proof of the
 * asset, and a proven release ends the action. A new result is also an event, which is written in the same
 * transaction and therefore sent once.
 *
 * A report counts only if it is signed with the current device key. The edge can create every session key, so
 * the signature of a heartbeat proves only that an edge node accepted it.
 */
export async function recordProof(delivery: Delivery, tenant: TenantItem, deps: RecordDeps): Promise<void> {
  const report = delivery.heartbeat().containment;
  if (report.generation === 0) return;
  const { tenantId, assetId } = delivery;
  const stored = await deps.authority.read(assetKey(tenantId, assetId));
  if (!stored) return;
  // A stored report without a signature of the device counts as absent. It neither hides nor delays a signed
  // report.
  const asset = await deps.authority.checkReports(decodeItem(assetItem, stored));
  const [isNewest, isReleasedByCode, isRestored, isAheadOfTable] = [
    isProof(asset, report),
    isUnrecordedRelease(asset, report),
    isSetBackBy(asset, report),
    isAhead(asset, report),
  ];
  if (!isNewest && !isReleasedByCode && !isRestored && !isAheadOfTable) return;
  if (!(await isSignedReport(asset.deviceKey, asset, report))) {
    await noteUnsigned(asset, report, deps);
    return;
  }
  const proven = { ...report, signedBy: asset.deviceKey };
  if (isNewest) await putProof(asset, proven, tenant, deps);
  if (isReleasedByCode) await noteReleaseByCode(asset, proven, deps);
  if (isRestored) await reopen(asset, proven, deps);
  if (isAheadOfTable) await noteAhead(asset, proven, deps);
}

/**
 * Notes that the host obeyed a directive that the table does not know, because the table was restored from a
 * backup. The next directive must get a higher generation.
 */
async function noteAhead(asset: AssetItem, report: Proven, deps: RecordDeps): Promise<void> {
  const { tenantId, assetId, generation } = asset;
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(assetKey(tenantId, assetId)),
      UpdateExpression: "SET heardGeneration = :heard",
      ConditionExpression:
        "attribute_exists(PK) AND deviceKey = :key AND generation < :heard AND " +
        "(attribute_not_exists(heardGeneration) OR heardGeneration < :heard)",
      ExpressionAttributeValues: values({ heard: report.generation, key: report.signedBy }),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
    return;
  }
  deps.log("warn", "containment.ahead", { tenantId, assetId, generation, reported: report.generation });
}

/**
 * Logs and counts an unsigned report. If a signed report would have become the proof, also notes the unsigned
 * one on the asset, once per generation.
 */
async function noteUnsigned(asset: AssetItem, report: ContainmentReport, deps: RecordDeps): Promise<void> {
  const { tenantId, assetId, generation, unsignedReport } = asset;
  const { generation: reported, signature } = report;
  deps.metrics.count("reports_unsigned_total");
  deps.log("warn", "containment.unsigned", {
    tenantId,
    assetId,
    reported,
    reason:
      signature === undefined
        ? "the report has no signature"
        : "the report is not signed by the device key of the asset",
  });
  if (!isProof(asset, report) || unsignedReport?.generation === generation) return;
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(assetKey(tenantId, assetId)),
      UpdateExpression: "SET unsignedReport = :unsigned",
      ConditionExpression: "attribute_exists(PK) AND generation = :generation AND deviceKey = :key",
      ExpressionAttributeValues: values({
        unsigned: { generation, at: timestamp(deps.clock()) },
        generation,
        key: asset.deviceKey,
      }),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

type Proven = ContainmentReport & { signedBy: string };

async function putProof(
  asset: CheckedAsset,
  report: Proven,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  const { tenantId, assetId, proof } = asset;
  const Key = marshalItem(assetKey(tenantId, assetId));
  const kind = proof && isSameReport(proof, report) ? undefined : eventKindOf(report);
  const event =
    kind &&
    makeEvent(
      {
        kind,
        eventId: eventIdOf(kind, `${assetId} ${report.generation} ${report.at}`),
        at: report.at,
        assetId,
        hostname: asset.hostname,
        data: {
          action: report.action,
          generation: report.generation,
          mode: report.mode,
          ...(report.reason !== undefined && { reason: report.reason }),
        },
        report,
      },
      tenant,
      timestamp(deps.clock()),
    );
  try {
    await deps.dynamo("TransactWriteItems", {
      TransactItems: [
        { Update: proofUpdate(Key, { asset, report }, deps.table) },
        ...(event ? [{ Put: eventPut(event, deps.table) }] : []),
      ],
    });
  } catch (error) {
    if (!isWriteConflict(error)) throw error;
    // The condition failed. Either another worker wrote this report or a newer one, or an administrator
    // requested a newer action. In all of these cases there is nothing to write.
    const again = await deps.dynamo("GetItem", { TableName: deps.table, Key, ConsistentRead: true });
    const now = again.Item && (await deps.authority.checkReports(decodeItem(assetItem, again.Item)));
    const isSettled =
      !now ||
      now.generation !== report.generation ||
      (now.proof?.generation === report.generation && now.proof.at >= report.at);
    if (!isSettled) throw error;
  }
}

/**
 * Stores a release by code on the asset, until a node with a control key writes it into the custody log. The
 * requested action does not matter here.
 *
 * If two such releases wait, the first one is kept. Between them an administrator isolated the host again,
 * and the node that served this administrator writes the first release into the log.
 */
async function noteReleaseByCode(asset: CheckedAsset, report: Proven, deps: RecordDeps): Promise<void> {
  const { tenantId, assetId } = asset;
  const refused = asset.refused?.freedByCode;
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(assetKey(tenantId, assetId)),
      UpdateExpression:
        "SET freedByCode = :report, GSI2PK = if_not_exists(GSI2PK, :open), GSI2SK = if_not_exists(GSI2SK, :since)",
      ConditionExpression:
        "attribute_exists(PK) AND deviceKey = :key AND (attribute_not_exists(offlineReleaseOf) OR offlineReleaseOf < :generation) AND " +
        "(attribute_not_exists(freedByCode) OR " +
        `${refused ? "freedByCode = :refused OR " : ""}` +
        "(freedByCode.generation < :generation AND freedByCode.generation <= offlineReleaseOf))",
      ExpressionAttributeValues: values({
        report,
        ...(refused && { refused }),
        key: report.signedBy,
        generation: report.generation,
        open: actionRequired(tenantId),
        since: indexSort(report.at, assetId),
      }),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

/** Reopens the action of a host whose release was proven but that is isolated again. The directive is sent again. */
async function reopen(asset: AssetItem, report: Proven, deps: RecordDeps): Promise<void> {
  const { tenantId, assetId, generation, proof } = asset;
  const { generation: reported, at } = report;
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(assetKey(tenantId, assetId)),
      UpdateExpression:
        "SET setBack = :back, GSI2PK = if_not_exists(GSI2PK, :open), GSI2SK = if_not_exists(GSI2SK, :since)",
      // The condition fails if the requested action or the proof has changed since the read.
      ConditionExpression:
        "attribute_exists(PK) AND generation = :generation AND proof.generation = :generation AND " +
        "proof.#at = :proven AND attribute_not_exists(revokedAt) AND deviceKey = :key",
      ExpressionAttributeNames: { "#at": "at" },
      ExpressionAttributeValues: values({
        back: { generation: reported, since: generation, at },
        key: report.signedBy,
        generation,
        proven: proof!.at,
        open: actionRequired(tenantId),
        since: indexSort(at, assetId),
      }),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
    return;
  }
  deps.log("warn", "containment.set-back", { tenantId, assetId, generation, reported });
}

function proofUpdate(
  Key: ReturnType<typeof marshalItem>,
  { asset, report }: { asset: CheckedAsset; report: Proven },
  table: string,
) {
  const { refused } = asset;
  const freed = asset.freedByCode ?? refused?.freedByCode;
  // Until the release by code is in the custody log, the asset must stay in the index, where the nodes that
  // write the log find it.
  const isOver = endsAction(asset, report) && !unrecordedRelease(asset);
  const { setBack } = asset;
  const sets = [
    "proof = :report",
    ...(setBack ? ["setBack = :over"] : []),
    // A host that was restored to a state before its proof sends its release again. In that case its action
    // is also open again.
    ...(isOver ? [] : ["GSI2PK = if_not_exists(GSI2PK, :open)", "GSI2SK = if_not_exists(GSI2SK, :since)"]),
  ];
  return {
    TableName: table,
    Key,
    UpdateExpression: `SET ${sets.join(", ")} REMOVE unsignedReport${isOver ? ", GSI2PK, GSI2SK" : ""}`,
    // A report on an older request, or by a device key that was replaced, proves nothing about the current
    // request.
    ConditionExpression:
      "attribute_exists(PK) AND generation = :generation AND deviceKey = :key AND attribute_not_exists(revokedAt) AND " +
      `(attribute_not_exists(proof) OR proof.generation < :generation OR proof.#at < :at${refused?.proof ? " OR proof = :refused" : ""})` +
      (isOver
        ? ` AND ${freed ? "freedByCode.generation = :freed" : "attribute_not_exists(freedByCode)"}`
        : ""),
    ExpressionAttributeNames: { "#at": "at" },
    ExpressionAttributeValues: values({
      report,
      key: report.signedBy,
      generation: report.generation,
      at: report.at,
      ...(setBack && { over: { ...setBack, since: 0 } }),
      ...(refused?.proof && { refused: refused.proof }),
      ...(isOver && freed && { freed: freed.generation }),
      ...(!isOver && {
        open: actionRequired(asset.tenantId),
        since: indexSort(asset.wish?.requestedAt ?? report.at, asset.assetId),
      }),
    }),
  };
}

const isSameReport = (a: ContainmentReport, b: ContainmentReport): boolean =>
  a.generation === b.generation &&
  a.action === b.action &&
  a.outcome === b.outcome &&
  a.mode === b.mode &&
  a.reason === b.reason &&
  JSON.stringify(a.probes) === JSON.stringify(b.probes);
