import { readFileSync } from "node:fs";
import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { createApi } from "./api.ts";
import { connectionOf, parseOrUndefined } from "./connect.ts";
import { custodyExport, verifyExport } from "./custody-export.ts";
import { Failure, type Verb } from "./deps.ts";
import { count } from "./table.ts";

const jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) });
/** A JWKS, or a file that holds one: an agent's identity pins the same keys. */
const keysFile = z.union([jwks, z.object({ jwks }).transform((file) => file.jwks)]);

function readJsonFile<Schema extends z.ZodType>(path: string, schema: Schema, what: string): z.infer<Schema> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new Failure(`cannot read ${path}`, { cause });
  }
  const parsed = schema.safeParse(parseOrUndefined(text));
  if (!parsed.success) throw new Failure(`${path} is not ${what}`);
  return parsed.data;
}

export const run: Verb = async (args, deps) => {
  const { file, keys, anchor } = args.texts;
  const exported = file
    ? readJsonFile(file, custodyExport, "a custody export")
    : await createApi(connectionOf(args, deps), deps).get("/v1/custody", custodyExport);
  const findings = await verifyExport(exported, {
    keys: keys ? (readJsonFile(keys, keysFile, "a JWKS") as JSONWebKeySet) : undefined,
    anchor: anchor ? readJsonFile(anchor, custodyExport, "a custody export") : undefined,
  });
  const { fault, records, checkpoint } = findings;
  const json = { ok: fault === undefined, ...findings };
  if (fault) return { json, lines: [`not ok: ${fault.record}: ${fault.fault}`], code: 1 };
  const signed = {
    good: "and its checkpoint is signed",
    absent: "nothing to sign yet",
    unchecked: "its checkpoint was not checked: give the control keys with --keys",
  }[checkpoint];
  return { json, lines: [`ok: ${count(records, "custody record")}, unbroken; ${signed}`] };
};
