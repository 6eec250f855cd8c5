import { writeFileSync } from "node:fs";
import { createApi } from "../platform/api.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { Failure } from "../platform/faults.ts";
import { count } from "../platform/text-table.ts";
import { custodyExport, toJsonLines } from "./custody-export.ts";

export const run: Verb = async (args, deps) => {
  const exported = await createApi(connectionOf(args, deps), deps).getWhole("/v1/custody", custodyExport);
  const { out, format } = args.texts;
  const text = format === "json" ? `${JSON.stringify(exported, undefined, 2)}\n` : toJsonLines(exported);
  if (!out) return { json: exported, lines: [text.trimEnd()] };
  try {
    writeFileSync(out, text, { mode: 0o600 });
  } catch (cause) {
    throw new Failure(`cannot write ${out}`, { cause });
  }
  const { length } = exported.records;
  const json = { file: out, records: length };
  const lines = [`${count(length, "custody record")} in ${out}`];
  const named = exported.head?.count ?? 0;
  if (named === length) return { json, lines };
  // An incomplete log is saved too, because it is evidence. The fault is reported.
  const fault = `the log is not complete: its head counts ${count(named, "custody record")}. Run lz audit verify --file ${out}`;
  return { json: { ...json, fault }, lines: [...lines, fault], code: 1 };
};
