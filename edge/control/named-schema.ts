import type { z } from "zod";

/** Called after its name in the specification; a name is registered once. */
export const named = <Schema extends z.ZodType>(id: string, schema: Schema): Schema => schema.meta({ id });
