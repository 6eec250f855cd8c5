import type { z } from "zod";
import { type AttributeMap, unmarshalItem } from "../dynamo.ts";

/**
 * Parses a stored item. If the item does not match the schema, throws an error with the item's key and the
 * invalid paths.
 */
export function decodeItem<Schema extends z.ZodType>(schema: Schema, stored: AttributeMap): z.infer<Schema> {
  const parsed = schema.safeParse(unmarshalItem(stored));
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues.map((issue) => issue.path.join(".")).join(", ");
  throw new Error(`Invalid item ${stored.PK?.S} / ${stored.SK?.S}: check ${paths}`);
}
