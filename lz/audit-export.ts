import { writeFileSync } from "node:fs";
import { createApi } from "./api.ts";
import { connectionOf } from "./connect.ts";
import { custodyExport } from "./custody-export.ts";
import { Failure, type Verb } from "./deps.ts";
import { count } from "./table.ts";

export const run: Verb = async (args, deps) => {
  const exported = await createApi(connectionOf(args, deps), deps).get("/v1/custody", custodyExport);
  const { out } = args.texts;
  const text = JSON.stringify(exported, undefined, 2);
  if (!out) return { json: exported, lines: [text] };
  try {
    writeFileSync(out, `${text}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new Failure(`cannot write ${out}`, { cause });
  }
  const { length } = exported.records;
  return { json: { file: out, records: length }, lines: [`${count(length, "custody record")} in ${out}`] };
};
