import { newControlKey, newSecret, publicHalf } from "../../shared/key-generation.ts";
import type { Verb } from "../platform/deps.ts";
import { writePrivate } from "../platform/key-file.ts";

/** Creates a complete set of keys for a new installation, as `NAME=value` lines for a secret store. */
export const run: Verb = async (args, deps) => {
  const control = await newControlKey("control-1");
  const enrol = await newControlKey("enrol-1");
  const values = {
    LZ_EDGE_SECRETS: newSecret("v1", deps.random),
    LZ_QUEUE_KEYS: newSecret("q1", deps.random),
    LZ_CONTROL_JWKS: JSON.stringify({ keys: [publicHalf(control)] }),
    LZ_CONTROL_KEY: JSON.stringify(control),
    LZ_ENROL_JWKS: JSON.stringify({ keys: [publicHalf(enrol)] }),
    LZ_ENROL_KEY: JSON.stringify(enrol),
  };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const file = args.texts.out;
  if (file === undefined) return { json: values, lines };
  writePrivate(file, `${lines.join("\n")}\n`);
  return { json: { written: file }, lines: [`the keys are in ${file}, which only its owner can read`] };
};
