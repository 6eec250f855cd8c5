import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { createApi } from "../platform/api.ts";
import { connectionOf, parseOrUndefined } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { Misuse } from "../platform/faults.ts";
import { readFile } from "../platform/read-file.ts";
import { count } from "../platform/text-table.ts";
import { custodyExport, inOrder, type ReadExport, readExport, verifyExport } from "./custody-export.ts";

const jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) });
/**
 * A JWKS, or a file with a member `jwks`. The identity file of an agent contains the same keys in its `jwks`
 * member.
 */
const keysFile = z.union([jwks, z.object({ jwks }).transform((file) => file.jwks)]);

function readKeys(path: string): JSONWebKeySet {
  const parsed = keysFile.safeParse(parseOrUndefined(readFile(path)));
  if (!parsed.success) throw new Misuse(`${path} is not a JWKS: give a file with public control keys`);
  return parsed.data as JSONWebKeySet;
}

function readExportFile(path: string): ReadExport {
  const read = readExport(readFile(path));
  if (!read) throw new Misuse(`${path} is not a custody export: give a file written by lz audit export`);
  return read;
}

export const run: Verb = async (args, deps) => {
  const { file, keys, anchor } = args.texts;
  const read: ReadExport = file
    ? readExportFile(file)
    : {
        exported: inOrder(
          await createApi(connectionOf(args, deps), deps).getWhole("/v1/custody", custodyExport),
        ),
      };
  const findings = await verifyExport(read.exported, {
    keys: keys ? readKeys(keys) : undefined,
    anchor: anchor ? readExportFile(anchor).exported : undefined,
    fault: read.fault,
  });
  const { records, checkpoint, fault } = findings;
  const json = { ok: fault === undefined, ...findings };
  if (fault) return { json, lines: [`not ok: ${fault.record}: ${fault.fault}`], code: 1 };
  const signed = {
    good: "and its checkpoint is signed",
    absent: "the log is empty, so there is no checkpoint",
    unchecked: "its checkpoint was not checked; give the control keys with --keys",
  }[checkpoint];
  const reports =
    findings.reports === undefined
      ? ""
      : `; ${count(findings.reports, "report")} signed by the device key named in it`;
  return { json, lines: [`ok: ${count(records, "custody record")}, unbroken; ${signed}${reports}`] };
};
