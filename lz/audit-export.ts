import { writeFileSync } from "node:fs";
import { createApi } from "./api.ts";
import { connectionOf } from "./connect.ts";
import { custodyExport, toJsonLines } from "./custody-export.ts";
import { Failure, type Verb } from "./deps.ts";
import { count } from "./table.ts";

export const run: Verb = async (args, deps) => {
  const exported = await createApi(connectionOf(args, deps), deps).get("/v1/custody", custodyExport);
  const { out, format } = args.texts;
  const text = format === "json" ? `${JSON.stringify(exported, undefined, 2)}\n` : toJsonLines(exported);
  if (!out) return { json: exported, lines: [text.trimEnd()] };
  try {
    writeFileSync(out, text, { mode: 0o600 });
  } catch (cause) {
    throw new Failure(`cannot write ${out}`, { cause });
  }
  const { length } = exported.records;
  return { json: { file: out, records: length }, lines: [`${count(length, "custody record")} in ${out}`] };
};
