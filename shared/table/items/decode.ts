import type { z } from "zod";
import { type AttributeMap, unmarshalItem } from "../dynamo.ts";

/** Throws with the item's key when what is stored is not what the code understands: never a guess. */
export function decodeItem<Schema extends z.ZodType>(schema: Schema, stored: AttributeMap): z.infer<Schema> {
  const parsed = schema.safeParse(unmarshalItem(stored));
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues.map((issue) => issue.path.join(".")).join(", ");
  throw new Error(`cannot read item ${stored.PK?.S} / ${stored.SK?.S}: ${paths}`);
}
